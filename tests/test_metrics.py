"""Metrics on scores small enough to count by hand."""

import numpy as np
import pytest

from stresnet.evaluation.metrics import confusion, mean_class_accuracy, softmax, top_k_accuracy

SCORES = np.array([[3.0, 1, 0], [2, 5, 1], [4, 3, 0], [0, 2, 1]])
TRUTH = np.array([0, 1, 1, 2])


def test_accuracies() -> None:
    assert top_k_accuracy(SCORES, TRUTH) == 2 / 4
    assert top_k_accuracy(SCORES, TRUTH, k=2) == 1
    assert mean_class_accuracy(SCORES, TRUTH) == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_a_class_without_videos_does_not_count() -> None:
    assert mean_class_accuracy(SCORES[:2], TRUTH[:2]) == 1


def test_confusion_has_the_truth_in_its_rows() -> None:
    assert confusion(SCORES, TRUTH).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_softmax_sums_to_one_and_survives_large_scores() -> None:
    probabilities = softmax(np.array([1000.0, 1000.0, -1000.0]))
    assert probabilities == pytest.approx([0.5, 0.5, 0])
