"""Where a network errs: which classes it takes for which, and which videos it finds hardest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.metrics import Indices, Scores, softmax

PAIRS = 10
HARDEST = 8


@dataclass(frozen=True)
class ConfusedPair:
    """Videos of one class that were taken for another.

    Attributes:
        share: of the class's videos, in [0, 1].
        example: index of the video that was taken for the other class most surely.
    """

    true: int
    predicted: int
    videos: int
    share: float
    example: int


@dataclass(frozen=True)
class HardVideo:
    """A video and the probability of its true class."""

    index: int
    true: int
    predicted: int
    of_truth: float
    of_predicted: float


def confused_pairs(
    scores: Scores, truth: Indices, counts: NDArray[np.int64], *, most: int = PAIRS
) -> list[ConfusedPair]:
    """The pairs with most videos first; among equals, those that are more of their class.

    Args:
        counts: (K, K) of `confusion`.
    """
    wrong = counts - np.diag(np.diag(counts))
    share = wrong / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    true, predicted = np.nonzero(wrong)
    order = np.lexsort((predicted, true, -share[true, predicted], -wrong[true, predicted]))[:most]
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    pairs = []
    for a, b in zip(true[order].tolist(), predicted[order].tolist(), strict=True):
        videos = np.flatnonzero((truth == a) & (best == b))
        example = int(videos[probabilities[videos, b].argmax()])
        pairs.append(ConfusedPair(a, b, int(wrong[a, b]), float(share[a, b]), example))
    return pairs


def hardest_videos(scores: Scores, truth: Indices, *, most: int = HARDEST) -> list[HardVideo]:
    """The videos whose true class is least probable, the hardest first."""
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    of_truth = probabilities[np.arange(len(truth)), truth]
    return [
        HardVideo(
            int(index),
            int(truth[index]),
            int(best[index]),
            float(of_truth[index]),
            float(probabilities[index, best[index]]),
        )
        for index in np.argsort(of_truth, kind="stable")[:most]
    ]
