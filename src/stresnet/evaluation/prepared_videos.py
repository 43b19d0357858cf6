"""Labelled videos, prepared: what there is to score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.prepare.many import prepare, store_path
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.reader import StoredVideo


@dataclass(frozen=True)
class PreparedVideos:
    """Videos and the folder of their stores.

    Attributes:
        failures: name -> reason of those that could not be prepared.
    """

    items: tuple[VideoItem, ...]
    store: Path
    failures: Mapping[str, str]

    @classmethod
    def of(
        cls, items: Sequence[VideoItem], store: Path, say: Callable[[str], None]
    ) -> PreparedVideos:
        """Prepare what is not prepared yet.

        Raises:
            EnvironmentProblem: the disk is full or the store cannot be written.
        """

        def on_progress(finished: int, total: int, name: str) -> None:
            if finished * 10 // total > (finished - 1) * 10 // total:  # a line every tenth
                say(f"prepare: {finished} of {total} videos")

        videos = [(item.path, item.name) for item in items]
        report = prepare(videos, store, on_progress=on_progress)
        return cls(tuple(items), store, dict(report.failures))

    def usable(self) -> Iterator[tuple[VideoItem, StoredVideo]]:
        """Each video that could be prepared, and its store."""
        for item in self.items:
            if item.name not in self.failures:
                yield item, StoredVideo(store_path(self.store, item.name))


def source_of(item: VideoItem) -> str:
    """What a video was cut from; itself, where that is not known."""
    return f"video {item.name}" if item.source is None else f"source {item.source}"
