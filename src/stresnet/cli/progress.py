"""Progress for a person: a bar with ETA on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import rich.progress
from rich.markup import escape
from rich.progress import BarColumn, TextColumn

from stresnet.cli.app import logger, notes
from stresnet.progress import OnProgress, Progress

SPEED_SECONDS = 120.0  # of the past, from which the ETA is estimated


@contextmanager
def progress(title: str) -> Iterator[OnProgress]:
    """A bar with ETA on a terminal; elsewhere a plain line every tenth of the way."""
    with rich.progress.Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        console=notes,
        disable=not notes.is_terminal,
        speed_estimate_period=SPEED_SECONDS,
    ) as bar:
        task = bar.add_task(title, total=None, words="")
        shown = 0  # tenths

        def on_progress(progress: Progress) -> None:
            nonlocal shown
            total = progress.total or 1
            bar.update(task, completed=progress.done, total=total)
            left = bar.tasks[0].time_remaining  # by the speed of late: what was skipped misleads
            eta = "" if left is None else f", ETA {timedelta(seconds=round(left))}"
            words = f"{int(progress.done)} of {total:g}{eta}"
            bar.update(task, words=f"{words} {escape(progress.item)}")
            tenths = int(10 * progress.done / total + 1e-9)
            if bar.disable and tenths > shown:
                shown = tenths
                logger.info(f"{title}: {words}")

        yield on_progress
