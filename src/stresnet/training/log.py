"""What a training run says about itself: log.csv, TensorBoard, progress with ETA."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

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
PLAIN_LINE_SECONDS = 10.0  # without a terminal: one line each so often


class RunLog:
    """Appends rows to `log.csv` and TensorBoard, and draws progress.

    A resumed phase first drops the rows of the steps that it will do again.
    """

    def __init__(self, folder: Path, phase: str, first_step: int, total_steps: int) -> None:
        self.phase = phase
        self.path = folder / "log.csv"
        self.first_step, self.total_steps = first_step, total_steps
        self._keep_rows_before(first_step)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, COLUMNS)
        self._events = SummaryWriter(folder / "tensorboard" / phase, purge_step=first_step)
        self._began = self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(
            phase, total=total_steps, completed=first_step, values=""
        )

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
        self._csv.writerow({"phase": self.phase, "step": step, **_rounded(values)})
        self._file.flush()
        for tag, value in values.items():
            self._events.add_scalar(tag, value, step)
        text = "  ".join(f"{tag.replace('_', ' ')} {value:.3g}" for tag, value in values.items())
        self._progress.update(self._task, completed=step + 1, values=text)
        self._plain_line(step, text)

    def _plain_line(self, step: int, text: str) -> None:
        now, done = time.monotonic(), step + 1
        if not self._progress.disable and done < self.total_steps:
            return
        if now - self._last_line < PLAIN_LINE_SECONDS and done < self.total_steps:
            return
        self._last_line = now
        remaining = (now - self._began) / (done - self.first_step) * (self.total_steps - done)
        print(
            f"{self.phase} {done}/{self.total_steps}  ETA {remaining / 60:.1f} min  {text}",
            file=sys.stderr,
            flush=True,
        )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Show progress inside the block; after it sync and close the files."""
        try:
            with self._progress:
                yield
        finally:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._events.close()


@contextmanager
def running_log(
    folder: Path, phase: str, first_step: int, total_steps: int, speaks: bool = True
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """What logs a finished iteration: called with its step and its row.

    Args:
        speaks: False for all but the first of several processes; then nothing is logged.
    """
    if not speaks:
        yield lambda step, values: None
        return
    log = RunLog(folder, phase, first_step, total_steps)
    with log.opened():
        yield log.row


def _rounded(values: Mapping[str, float]) -> dict[str, str]:
    return {key: f"{value:.6g}" for key, value in values.items()}
