"""Videos prepared in a thread, while somebody is busy with the ones before."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stresnet.data.ahead import ahead
from stresnet.data.prepare_video import prepare_video
from stresnet.data.store import StoredVideo
from stresnet.errors import VideoError
from stresnet.flow import AUTHORS, TVL1Parameters

Prepared = tuple[Path, StoredVideo | VideoError]


@contextmanager
def prepared_ahead(
    videos: Iterable[Path], *, flow: TVL1Parameters = AUTHORS, threads: int = 1
) -> Iterator[Iterator[Prepared]]:
    """Prepare videos in order, at once and no more than two ahead of the reader.

    A video that cannot be read comes with its error and stops no other. A prepared video is there
    until the next one is asked for. Leaving the block ends the work, also in the middle of a video.

    Args:
        flow: how the optical flow is computed.
        threads: for the optical flow.
    """
    left = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix="stresnet-") as scratch,
        ahead(_prepared(videos, Path(scratch), flow, threads, left)) as in_time,
    ):
        try:
            yield _each_deleted(in_time)
        finally:
            left.set()


def _each_deleted(prepared: Iterable[Prepared]) -> Iterator[Prepared]:
    for video, stored in prepared:
        yield video, stored
        if isinstance(stored, StoredVideo):
            stored.path.unlink()


class _NobodyWaits(Exception):
    """Ends a preparation whose reader has gone."""


def _prepared(
    videos: Iterable[Path],
    scratch: Path,
    flow: TVL1Parameters,
    threads: int,
    left: threading.Event,
) -> Iterator[Prepared]:
    def on_frames(_: int) -> None:
        if left.is_set():
            raise _NobodyWaits

    for number, video in enumerate(videos):
        store = scratch / f"{number}.zip"
        try:
            prepared = prepare_video(
                video, store, parameters=flow, threads=threads, on_frames=on_frames
            )
        except VideoError as error:
            yield video, error
        except _NobodyWaits:
            return
        else:
            yield video, prepared
