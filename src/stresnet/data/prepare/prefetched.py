"""Videos prepared while somebody is busy with the ones before."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from stresnet.data.prepare.one import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.container import printable
from stresnet.errors import StresnetError, VideoError
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.prefetch import ahead
from stresnet.workers import JobCrashed, Tell, run_isolated

Prepared = tuple[Path, StoredVideo | VideoError]
_Job: TypeAlias = "tuple[Path, Path]"  # a video, and where it is prepared
_Outcome: TypeAlias = "StresnetError | JobCrashed | None"


@contextmanager
def prepared_ahead(
    videos: Iterable[Path],
    *,
    flow: TVL1Parameters = AUTHORS,
    threads: int = 1,
    isolated: bool = False,
) -> Iterator[Iterator[Prepared]]:
    """Prepare videos in order, at once and no more than two ahead of the reader.

    A video that cannot be read comes with its error and stops no other. A prepared video is there
    until the next one is asked for. Leaving the block ends the work, also in the middle of a video.

    Args:
        flow: how the optical flow is computed.
        threads: for the optical flow.
        isolated: in a process of its own, so that a decoder that crashes costs one video, and
            imports here do not hold the work up; from a script, only under
            `if __name__ == "__main__":`.
    """
    left = threading.Event()

    def on_frames(job: _Job, frames: int) -> None:
        if left.is_set():
            raise _NobodyWaits

    prepare = _Prepare(flow, threads)
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        jobs = ((video, Path(scratch, f"{number}.zip")) for number, video in enumerate(videos))
        outcomes = (
            run_isolated(prepare, jobs, workers=1, on_news=on_frames)
            if isolated
            else _run_here(prepare, jobs, on_frames)
        )
        with ahead(_prepared(outcomes)) as in_time:
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


@dataclass(frozen=True)
class _Prepare:
    flow: TVL1Parameters
    threads: int

    def __call__(self, job: _Job, tell: Tell) -> None:
        video, store = job
        prepare_video(video, store, parameters=self.flow, threads=self.threads, on_frames=tell)


def _run_here(
    prepare: _Prepare, jobs: Iterable[_Job], on_frames: Callable[[_Job, int], None]
) -> Generator[tuple[_Job, _Outcome], None, None]:
    """As `run_isolated`, in this process."""
    for job in jobs:
        try:
            prepare(job, partial(on_frames, job))
        except StresnetError as error:
            yield job, error
        else:
            yield job, None


def _prepared(
    outcomes: Generator[tuple[_Job, _Outcome], None, None],
) -> Generator[Prepared, None, None]:
    try:
        with suppress(_NobodyWaits):
            for (video, store), outcome in outcomes:
                if outcome is None:
                    yield video, StoredVideo(store)
                elif isinstance(outcome, VideoError):
                    yield video, outcome
                elif isinstance(outcome, JobCrashed):
                    yield (
                        video,
                        VideoError(
                            f"{printable(video)}: {outcome}",
                            remedy="free memory, or encode it anew: ffmpeg -i OLD NEW.mp4",
                        ),
                    )
                else:
                    raise outcome
    finally:
        outcomes.close()
