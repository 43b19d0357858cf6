"""Numbers from scores (N, K) and true class indices (N,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Indices = NDArray[np.integer]


def late_fusion(
    appearance: NDArray[np.float32], motion: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scores of both streams, (..., K) each, with equal weights (section 4.1)."""
    return (appearance + motion) / np.float32(2)


def among_best(scores: Scores, truth: Indices, k: int = 1) -> NDArray[np.bool_]:
    """(N,) whether the true class is among the k best scores."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray((best == truth[:, None]).any(axis=1))


def top_k_accuracy(scores: Scores, truth: Indices, k: int = 1) -> float:
    """Fraction of videos whose true class is among the k best scores."""
    return float(among_best(scores, truth, k).mean())


def confusion(scores: Scores, truth: Indices) -> NDArray[np.int64]:
    """(K, K) counts: row = true class, column = best-scored class."""
    classes = scores.shape[1]
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (truth, scores.argmax(axis=1)), 1)
    return counts


def class_accuracies(scores: Scores, truth: Indices) -> NDArray[np.float64]:
    """(K,) accuracy within each class; nan where the class has no video."""
    counts = confusion(scores, truth)
    videos = counts.sum(axis=1)
    unknown = np.full(len(videos), np.nan)
    return np.asarray(np.divide(np.diag(counts), videos, out=unknown, where=videos > 0))


def mean_class_accuracy(scores: Scores, truth: Indices) -> float:
    """Mean of `class_accuracies` over the classes that occur."""
    return float(np.nanmean(class_accuracies(scores, truth)))


def softmax(scores: Scores) -> NDArray[np.float64]:
    """Probabilities over the last axis."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
