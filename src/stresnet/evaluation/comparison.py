"""What `evaluate` returns: networks and protocols side by side, each on every fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.metrics import top_k_accuracy
from stresnet.evaluation.protocols import Protocol

ROWS = ("appearance", "motion", "fused")


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of one network under one protocol on one list of videos.

    Attributes:
        names: of the videos, in the order of `truth` (N,) and of each scores array (N, K).
        scores: unnormalised, under "appearance", "motion" and "fused".
        failures: videos that could not be scored, with the reason.
        sources: the recording that each video was cut from; the video itself where that is unknown.
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


@dataclass(frozen=True)
class Entry:
    """One network under one protocol, on every fold.

    Attributes:
        model: what the report calls it.
        network: which of the paper's networks it is; or, with IDT, the name of its row in Table 4.
        results: one for each fold.
    """

    model: str
    network: str
    protocol: Protocol
    results: tuple[EvaluationResult, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.results[0].class_names

    @property
    def names(self) -> tuple[str, ...]:
        """The videos of all folds, one fold after the other."""
        return tuple(name for result in self.results for name in result.names)

    @property
    def truth(self) -> NDArray[np.int64]:
        """(N,) for `names`."""
        return np.concatenate([result.truth for result in self.results])

    def scores(self, row: str = "fused") -> NDArray[np.float32]:
        """(N, K) for `names`."""
        return np.concatenate([result.scores[row] for result in self.results])

    def accuracy(self, row: str = "fused") -> float:
        """Top-1 accuracy, in [0, 1]: the mean over the folds."""
        return float(np.mean([result.accuracy(row) for result in self.results]))

    @property
    def rows(self) -> tuple[str, ...]:
        """Which of `ROWS` it has scores for."""
        return tuple(row for row in ROWS if row in self.results[0].scores)

    @property
    def seconds(self) -> float | None:
        """The median time of a video; None where it is unknown."""
        seconds = np.concatenate([result.seconds for result in self.results])
        return float(np.median(seconds)) if seconds.size else None


@dataclass(frozen=True)
class Calibration:
    """Temperatures for the fused scores, one for each fold, and the videos they were fitted on."""

    temperatures: tuple[float, ...]
    videos: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that was measured.

    Attributes:
        folds: the tested folds; a single None stands for the data's only or first one.
        calibration: of the main network, if asked for.
        store: folder of the prepared videos.
        warnings: why the numbers may flatter.
        idt: improved dense trajectories alone, and the main network with them, where given.
    """

    data: str
    folds: tuple[int | None, ...]
    entries: tuple[Entry, ...]
    calibration: Calibration | None
    store: Path
    warnings: tuple[str, ...] = ()
    idt: tuple[Entry, ...] = ()

    @property
    def main(self) -> Entry:
        """The last network under the first protocol."""
        last = self.entries[-1].model
        return next(entry for entry in self.entries if entry.model == last)

    def accuracy(self, row: str = "fused") -> float:
        """Top-1 accuracy of the main network, in [0, 1]."""
        return self.main.accuracy(row)

    @property
    def failures(self) -> dict[str, str]:
        """Videos that could not be scored, with the reason."""
        results = [result for entry in self.entries for result in entry.results]
        return {name: reason for result in results for name, reason in result.failures.items()}
