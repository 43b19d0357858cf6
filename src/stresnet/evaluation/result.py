"""What one network scored on one list of test videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.bootstrap import Outcome
from stresnet.evaluation.metrics import top_k_accuracy

ROWS = ("appearance", "motion", "fused")


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of one network under one protocol on one list of videos.

    Attributes:
        names: of the videos, in the order of `truth` (N,) and of each scores array (N, K).
        scores: unnormalised, under "appearance", "motion" and "fused".
        failures: videos that could not be scored, with the reason.
        sources: the recording that each video was cut from; the video itself where it is unknown.
        seconds: (N,) that each video took, reading included.
        device, precision: what the network was computed with.
    """

    class_names: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float32]]
    failures: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    device: str = "cpu"
    precision: str = "fp32"

    def accuracy(self, row: str = "fused") -> float:
        """Top-1 accuracy, in [0, 1]."""
        return top_k_accuracy(self.scores[row], self.truth)

    def outcome(self, row: str = "fused") -> Outcome:
        """What the bootstrap needs."""
        return Outcome(self.scores[row], self.truth, self.sources or self.names)
