"""Videos prepared while the consumer is busy with the ones before."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import SHORT_SIDE
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.container import printable
from stresnet.data.video.probe import lasts_longer
from stresnet.errors import JobError, StresnetError, VideoError
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.prefetch import prefetch
from stresnet.workers import DEADLINE, map_in_processes, report_progress

Prepared = tuple[Path, StoredVideo | VideoError | None]  # None: longer than `longest`
_Job: TypeAlias = "tuple[Path, Path]"  # a video, and where it is prepared


@contextmanager
def prepared_ahead(
    videos: Iterable[Path],
    *,
    flow: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    longest: float = math.inf,
    isolated: bool = False,
) -> Iterator[Iterator[Prepared]]:
    """Prepare videos in order, at once and at most two ahead of the consumer.

    A video that cannot be read comes with its error and stops no other. A prepared video exists
    until the next one is asked for. Leaving the block ends the work, even in the middle of a video.

    Args:
        flow: how the optical flow is computed.
        short_side: of the frames, in pixels.
        threads: for the optical flow.
        longest: seconds; a longer video is not prepared and comes as None.
        isolated: in a process of its own, so that a decoder that crashes or hangs costs one video,
            and imports here do not hold the work up; from a script, only under
            `if __name__ == "__main__":`.
    """
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        jobs = ((video, Path(scratch, f"{number}.zip")) for number, video in enumerate(videos))
        if isolated:
            prepare = _Prepare(flow, short_side, threads, longest, report_progress)
            outcomes = map_in_processes(prepare, jobs, workers=1, ahead=1, deadline=DEADLINE)
            with closing(outcomes):
                yield _usable(outcomes)
            return

        left = threading.Event()

        def stop_if_left(frames: int) -> None:
            if left.is_set():
                raise _ConsumerHasLeft

        prepare = _Prepare(flow, short_side, threads, longest, stop_if_left)
        with prefetch(_in_this_process(prepare, jobs)) as ready:
            try:
                yield _usable(ready)
            finally:
                left.set()


class _ConsumerHasLeft(Exception):
    """Ends a preparation in the middle of a video."""


@dataclass(frozen=True)
class _Prepare:
    flow: TVL1Parameters
    short_side: int
    threads: int
    longest: float
    on_frames: Callable[[int], None]

    def __call__(self, job: _Job) -> bool:
        """Prepare a video, unless it is too long; return whether it is prepared."""
        video, store = job
        if self.longest < math.inf and lasts_longer(video, self.longest):
            return False
        prepare_video(
            video,
            store,
            parameters=self.flow,
            short_side=self.short_side,
            threads=self.threads,
            on_frames=self.on_frames,
        )
        return True


def _in_this_process(
    prepare: _Prepare, jobs: Iterable[_Job]
) -> Generator[tuple[_Job, StresnetError | bool], None, None]:
    """As `map_in_processes`."""
    with suppress(_ConsumerHasLeft):
        for job in jobs:
            outcome: StresnetError | bool
            try:
                outcome = prepare(job)
            except StresnetError as error:
                outcome = error
            yield job, outcome


def _usable(outcomes: Iterable[tuple[_Job, StresnetError | bool]]) -> Iterator[Prepared]:
    for (video, store), outcome in outcomes:
        if outcome is True:
            yield video, StoredVideo(store)
            store.unlink()
        elif outcome is False:
            yield video, None
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
