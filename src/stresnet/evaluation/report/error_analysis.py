"""Where a network errs: which classes it confuses, and which videos it finds hardest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stresnet.evaluation.metrics import Indices, Scores, confusion, softmax

PAIRS = 10
HARDEST = 8


def confused_pairs(
    scores: Scores,
    truth: Indices,
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    most: int = PAIRS,
) -> list[dict[str, Any]]:
    """Return pairs of a true and a predicted class with the most videos first.

    Among equals, those come first that are a larger `share` of the true class's videos. The
    `example` is the video that was mistaken most surely.
    """
    counts = confusion(scores, truth)
    wrong = counts - np.diag(np.diag(counts))
    share = wrong / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    true, predicted = np.nonzero(wrong)
    order = np.lexsort((predicted, true, -share[true, predicted], -wrong[true, predicted]))[:most]
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    pairs = []
    for a, b in zip(true[order].tolist(), predicted[order].tolist(), strict=True):
        videos = np.flatnonzero((truth == a) & (best == b))
        pairs.append(
            {
                "true": class_names[a],
                "predicted": class_names[b],
                "videos": int(wrong[a, b]),
                "share": float(share[a, b]),
                "example": names[videos[probabilities[videos, b].argmax()]],
            }
        )
    return pairs


def hardest_videos(
    scores: Scores,
    truth: Indices,
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    most: int = HARDEST,
) -> list[dict[str, Any]]:
    """Return the videos whose true class is least probable, the hardest first."""
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    of_truth = probabilities[np.arange(len(truth)), truth]
    return [
        {
            "name": names[index],
            "true": class_names[truth[index]],
            "predicted": class_names[best[index]],
            "of_truth": float(of_truth[index]),
            "of_predicted": float(probabilities[index, best[index]]),
        }
        for index in np.argsort(of_truth, kind="stable")[:most].tolist()
    ]
