"""Progress for a person: a bar with ETA on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
        disable=not (notes.is_terminal and logger.isEnabledFor(logging.INFO)),
        speed_estimate_period=SPEED_SECONDS,
    ) as bar:
        task = bar.add_task(escape(title), total=None, words="")
        shown = 0  # tenths

        def on_progress(progress: Progress) -> None:
            nonlocal shown
            total = progress.total or 1
            if progress.done < bar.tasks[0].completed:  # a job's next stage counts from 1 again
                bar.reset(task)
                shown = 0
            bar.update(task, completed=progress.done, total=total)
            left = bar.tasks[0].time_remaining  # by the recent speed: skipped items mislead
            eta = "" if left is None else f", ETA {timedelta(seconds=round(left))}"
            words = f"{progress.done:.0f} of {total:.0f}{eta}"
            bar.update(task, words=f"{words} {escape(progress.item)}")
            tenths = int(10 * progress.done / total + 1e-9)
            if bar.disable and tenths > shown:
                shown = tenths
                logger.info(f"{title}: {words}")

        yield on_progress


class ItemProgress:
    """An `OnProgress` that shows one bar for each item, from its first report to `close`."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._item: str | None = None
        self._bars = ExitStack()

    def __call__(self, progress_: Progress) -> None:
        if progress_.item != self._item:
            self.close()
            self._item = progress_.item
            self._show = self._bars.enter_context(progress(f"{progress_.item}, {self._unit}"))
        if progress_.total:  # else the length is unknown
            self._show(Progress(progress_.done, progress_.total))

    def close(self) -> None:
        """Take the bar away; the next report begins another."""
        self._bars.close()
        self._item = None
