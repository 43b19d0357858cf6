"""The labelled videos of a data set, prepared: what there is to train on or to score.

ensure_prepared(split.train, store).kept(skip_broken=False)     for training
ensure_prepared(split.test, store).usable()                     for scoring
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stresnet.data.prepare.many import prepare
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.index import Indexed, place_of
from stresnet.data.store.reader import Known, StoredVideo
from stresnet.errors import DatasetError, in_lines
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.jobs import Engine
from stresnet.progress import OnProgress, Progress, silent
from stresnet.workers import map_in_processes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedVideos:
    """Videos and the folder of their stores.

    Attributes:
        failures: name -> reason of those that could not be prepared.
        index: name -> what is known about a prepared video, so that its file need not be opened.
    """

    items: tuple[VideoItem, ...]
    store: Path
    failures: Mapping[str, str]
    index: Mapping[str, Indexed] = field(default_factory=dict)

    def stored(self, name: str) -> StoredVideo:
        """The prepared video of this name."""
        found = self.index.get(name)
        known = Known(found.seal, found.preparation) if found else None
        return StoredVideo(place_of(self.store, name), known)

    def usable(self) -> Iterator[tuple[VideoItem, StoredVideo]]:
        """Each video that could be prepared, and its store."""
        for item in self.items:
            if item.name not in self.failures:
                yield item, self.stored(item.name)

    def kept(self, *, skip_broken: bool) -> list[VideoItem]:
        """The videos to train on: all of them, or with `skip_broken` those that can be used.

        Raises:
            DatasetError: some cannot be used and `skip_broken` is False, or a class has none left.
        """
        self.require_usable(skip_broken=skip_broken)
        kept = [item for item, _ in self.usable()]
        if emptied := {item.label for item in self.items} - {item.label for item in kept}:
            raise DatasetError(
                f"no usable training video is left in {', '.join(sorted(emptied))}",
                remedy="see failures.csv in the store; repair or replace these videos",
            )
        return kept

    def require_usable(self, *, skip_broken: bool) -> None:
        """Raise `DatasetError` if some cannot be used; with `skip_broken`, warn about them."""
        broken = [f"{name}: {reason}" for name, reason in self.failures.items()]
        listed = in_lines(broken)
        if broken and not skip_broken:
            raise DatasetError(
                f"{len(broken)} of {len(self.items)} videos cannot be used:{listed}",
                remedy="repair or remove them, or train without them: --skip-broken",
            )
        if broken:
            logger.warning("left out %d of %d videos:%s", len(broken), len(self.items), listed)


def ensure_prepared(
    videos: Sequence[VideoItem],
    store: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    workers: int | None = None,
    device: str = "auto",
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> PreparedVideos:
    """Prepare what is not prepared yet, and warn about what was lost in damaged videos.

    Args: as in `prepare`.

    Raises:
        UsageError: `workers` is less than 1.
        EnvironmentProblem: the disk is full or the store cannot be written.
    """
    if on_progress is silent:
        on_progress = _Logged()
    report = prepare(
        list({item.name: (item.path, item.name) for item in videos}.values()),
        store,
        parameters=parameters,
        short_side=short_side,
        workers=workers,
        device=device,
        engine=engine,
        on_progress=on_progress,
    )
    if report.done:
        logger.info("prepared %d videos into %s", len(report.done), store)
    if report.warnings:
        lines = [f"{name}: {warning}" for name, warning in report.warnings]
        count = len({name for name, _ in report.warnings})
        logger.warning("%d videos have warnings:%s", count, in_lines(lines))
    return PreparedVideos(tuple(videos), store, dict(report.failures), report.index)


class _Logged:
    """Logs progress at every tenth of the way."""

    def __init__(self) -> None:
        self._tenths = 0

    def __call__(self, progress: Progress) -> None:
        tenths = int(10 * progress.done / (progress.total or 1))
        if tenths > self._tenths:
            self._tenths = tenths
            logger.info("prepare: %d of %d videos", progress.done, progress.total)
