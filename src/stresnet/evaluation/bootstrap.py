"""Accuracies with bootstrap confidence intervals, over one fold or the mean of several.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), percentile intervals. Sources are
drawn with replacement, each with all its videos: clips of one source succeed and fail together, and
drawing them one by one would pretend to know more than is known. A video without a known source
stands for itself. A source that is tested in several folds is drawn for all at once.

Where all videos are right, or all wrong, every draw says the same. The interval is then the exact
one of a binomial with as many trials as there are sources (Clopper and Pearson, Biometrika 1934).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.comparison import EvaluationResult
from stresnet.evaluation.metrics import among_best

SEED = 0
DRAWS = 1000
COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; nan where there is nothing to measure."""

    value: float
    low: float
    high: float


def draws(sources: int) -> NDArray[np.float64]:
    """(1 + DRAWS, S) how often each source counts: once each in the first row, then as drawn."""
    even = np.full(sources, 1 / sources)
    drawn = np.random.default_rng(SEED).multinomial(sources, even, size=DRAWS)
    return np.concatenate([np.ones((1, sources)), drawn])


def estimated(values: NDArray[np.float64]) -> Estimate:
    """Return the value and interval of a measure (1 + DRAWS,), one for each row of `draws`."""
    drawn = values[1:][np.isfinite(values[1:])]
    tails = (100 * (1 - COVERAGE) / 2, 100 * (1 + COVERAGE) / 2)
    low, high = np.percentile(drawn, tails) if drawn.size else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))


def ratio(part: NDArray[np.floating], whole: NDArray[np.floating]) -> NDArray[np.float64]:
    """part / whole; nan where there is nothing: a draw may leave a class, or a fold, empty."""
    nothing = np.full(part.shape, np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole > 0))


def estimate(
    folds: Sequence[EvaluationResult],
    row: str = "fused",
    *,
    above: Sequence[EvaluationResult] = (),
) -> Mapping[str, Estimate]:
    """`top1`, `top5` and `mean_class` accuracy: the mean over the folds, with intervals.

    `mean_class` averages the accuracy within each class over the classes that occur.

    Args:
        above: another network's results on the same videos. The result is then the difference from
            it, draw by draw, so that videos that are hard for both do not widen the intervals.
    """
    sources = sorted({source for fold in folds for source in fold.sources or fold.names})
    index = {source: place for place, source in enumerate(sources)}
    drawn = draws(len(sources))
    values = _accuracies([_tally(fold, row, index) for fold in folds], drawn)
    if above:
        values = values - _accuracies([_tally(fold, row, index) for fold in above], drawn)
    names = ("top1", "top5", "mean_class")
    estimates = {name: estimated(column) for name, column in zip(names, values.T, strict=True)}
    if above:
        return estimates
    return {name: _widened(each, len(sources)) for name, each in estimates.items()}


def _widened(accuracy: Estimate, sources: int) -> Estimate:
    """The exact interval where all videos are right, or all wrong."""
    missed = 1 - ((1 - COVERAGE) / 2) ** (1 / max(sources, 1))
    if accuracy.value == 1:
        return Estimate(1.0, 1 - missed, 1.0)
    if accuracy.value == 0:
        return Estimate(0.0, 0.0, missed)
    return accuracy


def _tally(fold: EvaluationResult, row: str, index: Mapping[str, int]) -> NDArray[np.float64]:
    """(3, S, K) for each source and true class: videos, right ones, ones in the best five."""
    scores, truth = fold.scores[row], fold.truth
    counts = np.zeros((3, len(index), scores.shape[1]))
    where = (np.array([index[source] for source in fold.sources or fold.names]), truth)
    np.add.at(counts[0], where, 1)
    np.add.at(counts[1], where, among_best(scores, truth, 1))
    np.add.at(counts[2], where, among_best(scores, truth, 5))
    return counts


def _accuracies(
    tallies: Sequence[NDArray[np.float64]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sources counted `weights` (R, S) times -> (R, 3): top1, top5, mean_class."""
    of_folds = []
    for tally in tallies:
        videos, right, near = np.asarray(weights @ tally)  # (R, K) each
        within = np.nan_to_num(ratio(right, videos))
        of_folds.append(
            [
                ratio(right.sum(1), videos.sum(1)),
                ratio(near.sum(1), videos.sum(1)),
                ratio(within.sum(1), (videos > 0).sum(1)),
            ]
        )
    return np.asarray(np.mean(of_folds, axis=0).T)
