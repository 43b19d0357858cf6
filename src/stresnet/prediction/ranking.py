"""Scores of a video -> its classes, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.metrics import softmax


@dataclass(frozen=True)
class ClassScore:
    """A class and its softmax scores in [0, 1].

    Attributes:
        score: of both streams together (their unnormalised scores averaged).
        appearance, motion: of each stream alone.
    """

    label: str
    score: float
    appearance: float
    motion: float


def ranked(
    class_names: Sequence[str], scores: VideoScores, top_k: int | None = None
) -> tuple[ClassScore, ...]:
    """The best `top_k` classes by both streams together; None is all of them."""
    columns = [softmax(each) for each in (scores.fused, scores.appearance, scores.motion)]
    best = np.argsort(-columns[0], kind="stable")[:top_k]
    return tuple(
        ClassScore(class_names[i], *(float(column[i]) for column in columns)) for i in best
    )


def require_top_k(top_k: int) -> None:
    """Raise `UsageError` unless it is at least 1."""
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; expected at least 1")
