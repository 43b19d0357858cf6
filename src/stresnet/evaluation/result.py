"""What a network scored on one list of test videos."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.bootstrap import Outcome
from stresnet.evaluation.metrics import confusion, mean_class_accuracy, top_k_accuracy
from stresnet.evaluation.score_files import save_arrays
from stresnet.files import atomic_write

ROWS = ("appearance", "motion", "fused")


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of one network on one list of videos.

    Attributes:
        names: of the videos, in the order of `truth` (N,) and of each scores array (N, K).
        scores: unnormalised, under "appearance", "motion" and "fused".
        failures: videos that could not be scored, with the reason.
        sources: what each video was cut from; itself, where that is not known.
        seconds: (N,) that each video took, reading included.
    """

    class_names: tuple[str, ...]
    names: tuple[str, ...]
    truth: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float32]]
    failures: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def accuracy(self, row: str = "fused") -> float:
        """Top-1 accuracy, in [0, 1]."""
        return top_k_accuracy(self.scores[row], self.truth)

    def outcome(self, row: str = "fused") -> Outcome:
        """As the bootstrap takes it."""
        return Outcome(self.scores[row], self.truth, self.sources or self.names)

    def as_dict(self) -> dict[str, Any]:
        """The numbers, as plain values."""
        return {
            "videos": len(self.names),
            "failures": dict(self.failures),
            "class_names": list(self.class_names),
            "rows": {
                row: {
                    "top1": self.accuracy(row),
                    "mean_class": mean_class_accuracy(self.scores[row], self.truth),
                    "confusion": confusion(self.scores[row], self.truth).tolist(),
                }
                for row in self.scores
            },
        }

    def save(self, folder: Path) -> None:
        """Write `report.json` and `scores.npz` (names, truth and scores; no pickled objects)."""
        with atomic_write(folder / "report.json") as partial:
            partial.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        save_arrays(
            folder / "scores.npz",
            names=np.array(self.names, dtype=np.str_),
            class_names=np.array(self.class_names, dtype=np.str_),
            truth=self.truth,
            **self.scores,
        )
