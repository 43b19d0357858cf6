"""Videos prepared while the consumer is busy with the ones before."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from stresnet.data.prepare.one import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.container import printable
from stresnet.errors import JobError, StresnetError, VideoError
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.prefetch import prefetch
from stresnet.workers import DEADLINE, map_in_processes, report_progress

Prepared = tuple[Path, StoredVideo | VideoError]
_Job: TypeAlias = "tuple[Path, Path]"  # a video, and where it is prepared


@contextmanager
def prepared_ahead(
    videos: Iterable[Path],
    *,
    flow: TVL1Parameters = AUTHORS,
    threads: int = 1,
    isolated: bool = False,
) -> Iterator[Iterator[Prepared]]:
    """Prepare videos in order, at once and at most two ahead of the consumer.

    A video that cannot be read comes with its error and stops no other. A prepared video exists
    until the next one is asked for. Leaving the block ends the work, even in the middle of a video.

    Args:
        flow: how the optical flow is computed.
        threads: for the optical flow.
        isolated: in a process of its own, so that a decoder that crashes or hangs costs one video,
            and imports here do not hold the work up; from a script, only under
            `if __name__ == "__main__":`.
    """
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        jobs = ((video, Path(scratch, f"{number}.zip")) for number, video in enumerate(videos))
        if isolated:
            prepare = _Prepare(flow, threads, report_progress)
            outcomes = map_in_processes(prepare, jobs, workers=1, ahead=1, deadline=DEADLINE)
            with closing(outcomes):
                yield _usable(outcomes)
            return

        left = threading.Event()

        def stop_if_left(frames: int) -> None:
            if left.is_set():
                raise _ConsumerHasLeft

        with prefetch(_in_this_process(_Prepare(flow, threads, stop_if_left), jobs)) as ready:
            try:
                yield _usable(ready)
            finally:
                left.set()


class _ConsumerHasLeft(Exception):
    """Ends a preparation in the middle of a video."""


@dataclass(frozen=True)
class _Prepare:
    flow: TVL1Parameters
    threads: int
    on_frames: Callable[[int], None]

    def __call__(self, job: _Job) -> None:
        video, store = job
        prepare_video(
            video, store, parameters=self.flow, threads=self.threads, on_frames=self.on_frames
        )


def _in_this_process(
    prepare: _Prepare, jobs: Iterable[_Job]
) -> Generator[tuple[_Job, StresnetError | None], None, None]:
    """As `map_in_processes`."""
    with suppress(_ConsumerHasLeft):
        for job in jobs:
            try:
                prepare(job)
            except StresnetError as error:
                yield job, error
            else:
                yield job, None


def _usable(outcomes: Iterable[tuple[_Job, StresnetError | None]]) -> Iterator[Prepared]:
    for (video, store), outcome in outcomes:
        if outcome is None:
            yield video, StoredVideo(store)
            store.unlink()
        elif isinstance(outcome, VideoError):
            yield video, outcome
        elif isinstance(outcome, JobError):
            yield (
                video,
                VideoError(
                    f"{printable(video)}: {outcome}",
                    remedy="free memory, or encode it again: ffmpeg -i OLD NEW.mp4",
                ),
            )
        else:
            raise outcome
