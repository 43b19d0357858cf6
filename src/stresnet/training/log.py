"""The record of a training run: what is measured, and log.csv, TensorBoard and lines with ETA.

Loss and accuracy of each stream, and of both together, are measured on the training samples. A
group's measures stay on the device, as one vector of sums over its videos, so that a step waits for
the device once, not once per number:

    videos, loss, (loss, accuracy) of each stream, and of their sum where both learn
"""

from __future__ import annotations

import csv
import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stresnet.files import atomic_write

COLUMNS = (
    "phase",
    "step",
    "learning_rate",
    "loss",
    "appearance_loss",
    "appearance_accuracy",
    "motion_loss",
    "motion_accuracy",
    "fused_loss",
    "fused_accuracy",
    "videos_per_second",
)
LINE_SECONDS = 10.0  # between two lines

logger = logging.getLogger(__name__)


class RunLog:
    """Appends rows to `log.csv` and TensorBoard (if installed), and logs a line now and then.

    A line holds means over the iterations since the one before. A resumed phase first drops the
    rows of the steps that it will repeat.
    """

    def __init__(self, folder: Path, phase: str, first_step: int, total_steps: int) -> None:
        self.phase = phase
        self.path = folder / "log.csv"
        self.first_step, self.total_steps = first_step, total_steps
        self._keep_rows_before(first_step)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, COLUMNS)
        self._events = None
        if find_spec("tensorboard"):  # an extra that takes a second to import
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(folder / "tensorboard" / phase, purge_step=first_step)
        self._began = self._last_line = time.monotonic()
        self._since_line: list[Mapping[str, float]] = []

    def _keep_rows_before(self, step: int) -> None:
        rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [
                    row
                    for row in csv.DictReader(file)
                    if row[COLUMNS[-1]]  # or the row was cut off, by a full disk for example
                    and (row["phase"] != self.phase or int(row["step"]) < step)
                ]
        with (
            atomic_write(self.path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Log one finished iteration (`step` counts from 0)."""
        rounded = {key: f"{value:.6g}" for key, value in values.items()}
        self._csv.writerow({"phase": self.phase, "step": step, **rounded})
        self._file.flush()
        if self._events is not None:
            for tag, value in values.items():
                self._events.add_scalar(tag, value, step)
        self._since_line.append(values)
        now, done = time.monotonic(), step + 1
        if now - self._last_line < LINE_SECONDS and done < self.total_steps:
            return
        self._last_line = now
        minutes = (now - self._began) / (done - self.first_step) * (self.total_steps - done) / 60
        means = {tag: fmean(row[tag] for row in self._since_line) for tag in values}
        self._since_line.clear()
        text = "  ".join(f"{tag.replace('_', ' ')} {value:.3g}" for tag, value in means.items())
        logger.info(f"{self.phase} {done}/{self.total_steps}  ETA {minutes:.1f} min  {text}")

    def close(self) -> None:
        """Sync and close the files."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._events is not None:
            self._events.close()


@torch.no_grad()
def group_measures(loss: Tensor, scores: dict[str, Tensor], truth: Tensor) -> Tensor:
    """(M,) float64 sums over the group's videos.

    Args:
        loss: what is minimised, summed over the group's videos.
        scores: (b,T',K) of each stream.
        truth: (b,) class indices.
    """
    clips = [logits.float().mean(1) for logits in scores.values()]  # (b,K) each
    if len(clips) > 1:
        clips.append(torch.stack(clips).sum(0))
    sums = [torch.full((), len(truth), device=loss.device), loss]
    for logits in clips:
        sums.append(cross_entropy(logits, truth, reduction="sum"))
        sums.append((logits.argmax(1) == truth).sum())
    return torch.stack([value.double() for value in sums])


def number_of_measures(streams: Sequence[str]) -> int:
    """M, the length of the vector that `group_measures` returns."""
    return 2 + 2 * (len(streams) + (len(streams) > 1))


def mean_measures(totals: Tensor, streams: Sequence[str]) -> dict[str, float]:
    """Sums (M,) over all groups of a step -> means over its videos, by name."""
    videos, *sums = totals.tolist()
    heads = [*streams, "fused"] if len(streams) > 1 else streams
    names = ["loss", *(f"{head}_{what}" for head in heads for what in ("loss", "accuracy"))]
    return {name: value / videos for name, value in zip(names, sums, strict=True)}
