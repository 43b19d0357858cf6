"""How good a network is: protocols, scores, accuracies with intervals, fusion and reports."""
