"""Progress for a person: a bar with ETA on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from stresnet.cli.app import logger, notes
from stresnet.progress import Progress


class Shown(Protocol):
    """What `progress` gives: an `OnProgress`; the older (done, total, item) is understood, too."""

    def __call__(
        self, progress: Progress | float, total: float | None = None, item: str = "", /
    ) -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Shown]:
    """Give an `OnProgress` that shows a bar with ETA; without a terminal a line every tenth."""
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}"),
        console=notes,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None, item="")
        tenths = 0

        def on_progress(
            progress: Progress | float, total: float | None = None, item: str = "", /
        ) -> None:
            nonlocal tenths
            now = progress if isinstance(progress, Progress) else Progress(progress, total, item)
            bar.update(task, completed=now.done, total=now.total, item=escape(now.item))
            if bar.disable and now.total and int(now.done * 10 / now.total) > tenths:
                tenths = int(now.done * 10 / now.total)
                logger.info(f"{title}: {now.done:g} of {now.total:g}")

        yield on_progress


class Meter:
    """How far preparing is, how fast, and how long it will take.

    Progress goes by the bytes of the files, the best guess at their lengths before they are opened.

    Args:
        sizes: bytes of each video, by name.
        clock: seconds.
    """

    def __init__(
        self, sizes: Mapping[str, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sizes = sizes
        self._clock = clock
        self._started = clock()
        self._frames: dict[str, int] = {}
        self._shares: dict[str, float] = {}  # done of a video, 0 to 1
        self.finished = 0

    def on_frames(self, name: str, frames: int, announced: int) -> None:
        """As `prepare` calls it; an announced length of 0 is unknown."""
        self._frames[name] = frames
        # Not all of it before `on_progress` says so: headers are wrong now and then.
        self._shares[name] = min(frames / announced, 0.99) if announced else 0.0

    def on_progress(self, finished: int, total: int, name: str) -> None:
        """As `prepare` calls it."""
        self.finished = finished
        self._shares[name] = 1.0

    @property
    def share(self) -> float:
        """Of all bytes, 0 to 1."""
        return self._bytes(self._shares) / max(sum(self._sizes.values()), 1)

    @property
    def frames_per_second(self) -> float:
        """Of all workers together, since the start."""
        return sum(self._frames.values()) / self._elapsed

    @property
    def eta(self) -> timedelta | None:
        """None until any video has been worked on; what was only skipped tells nothing."""
        worked = self._bytes(self._frames)
        if not worked:
            return None
        left = sum(self._sizes.values()) - self._bytes(self._shares)
        return timedelta(seconds=round(left * self._elapsed / worked))

    @property
    def _elapsed(self) -> float:
        return max(self._clock() - self._started, 1e-3)

    def _bytes(self, names: Mapping[str, object]) -> float:
        return sum(self._shares.get(name, 0.0) * self._sizes[name] for name in names)

    def __str__(self) -> str:
        eta = "" if self.eta is None else f", ETA {self.eta}"
        return (
            f"{self.finished} of {len(self._sizes)} videos, "
            f"{self.frames_per_second:.1f} frames/s{eta}"
        )


@contextmanager
def metered(title: str, meter: Meter) -> Iterator[Callable[[], None]]:
    """Show a meter; the function that is given shows it anew."""
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        console=notes,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=1.0, said="")
        shown = 0  # tenths

        def show() -> None:
            nonlocal shown
            bar.update(task, completed=meter.share, said=str(meter))
            tenths = int(meter.share * 10 + 1e-9)
            if bar.disable and tenths > shown:
                shown = tenths
                logger.info(f"{title}: {meter}")

        yield show
