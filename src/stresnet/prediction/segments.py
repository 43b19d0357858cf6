"""Scores of overlapping windows -> what happens from when to when.

    scores --(mean over `smooth` seconds)--> log softmax --(best labelling)--> segments

The labelling is the one with the greatest sum of log probabilities among all whose segments last
`min_duration` or longer, found exactly by dynamic programming: a change of label must pay for
itself, and a flicker cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.metrics import softmax

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Segment:
    """A class from `start` to `end`, in seconds.

    Attributes:
        score: softmax score in [0, 1] of both streams, mean over the segment.
        appearance, motion: of each stream alone.
    """

    start: float
    end: float
    label: str
    score: float
    appearance: float
    motion: float


def smoothed(scores: Scores, times: Scores, seconds: float) -> NDArray[np.float64]:
    """Average scores (W,K) at `times` (W,), increasing, over all within `seconds` / 2 of each.

    The scores are unnormalised, as the protocol averages them (section 4.1).
    """
    first = np.searchsorted(times, times - seconds / 2 - 1e-6)
    after = np.searchsorted(times, times + seconds / 2 + 1e-6)
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, 0, np.float64)])
    mean: NDArray[np.float64] = (sums[after] - sums[first]) / (after - first)[:, None]
    return mean


def borders_between(times: Scores, start: float, end: float) -> NDArray[np.float64]:
    """Return (W+1,) seconds: each window, at `times` (W,), covers what is nearest to it.

    The first and the last one also cover the ends of the video, at `start` and `end`.
    """
    return np.concatenate([[start], (times[1:] + times[:-1]) / 2, [end]])


def best_labelling(
    scores: Scores, borders: Scores, min_duration: float
) -> list[tuple[int, int, int]]:
    """Cut W cells into segments (first cell, cell after the last, class), in order.

    Args:
        scores: (W,K), unnormalised.
        borders: (W+1,) of the cells, seconds.
        min_duration: of a segment, seconds. A shorter video is one segment.
    """
    cells, classes = scores.shape
    gains = np.log(np.maximum(softmax(scores), 1e-12)) * np.diff(borders)[:, None]
    sums = np.concatenate([np.zeros((1, classes)), np.cumsum(gains, axis=0)])
    if borders[-1] - borders[0] < min_duration:
        return [(0, cells, int(sums[-1].argmax()))]
    best = np.full(cells + 1, -np.inf)  # of the cells before each border
    best[0] = 0.0
    # For each class the best border that a segment ending here may begin at, and its worth.
    worth, begin = np.full(classes, -np.inf), np.zeros(classes, int)
    label, start = np.zeros(cells + 1, int), np.zeros(cells + 1, int)
    candidate = 0
    for end in range(1, cells + 1):
        while borders[end] - borders[candidate] >= min_duration - 1e-6 and candidate < end:
            better = best[candidate] - sums[candidate] > worth
            worth = np.where(better, best[candidate] - sums[candidate], worth)
            begin = np.where(better, candidate, begin)
            candidate += 1
        totals = worth + sums[end]
        label[end] = totals.argmax()
        best[end], start[end] = totals[label[end]], begin[label[end]]
    return _followed_back(label, start)


def _followed_back(label: NDArray[np.int_], start: NDArray[np.int_]) -> list[tuple[int, int, int]]:
    """Follow the best choices from the last border to the first; join neighbours of one class."""
    found: list[tuple[int, int, int]] = []
    end = len(label) - 1
    while end > 0:
        if found and found[-1][2] == label[end]:
            found[-1] = (int(start[end]), *found[-1][1:])
        else:
            found.append((int(start[end]), end, int(label[end])))
        end = int(start[end])
    return found[::-1]
