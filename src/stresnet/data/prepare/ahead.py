"""Videos prepared while the consumer is busy with the ones before."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from stresnet.data.prepare.one import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.probe import lasts_longer
from stresnet.errors import JobError, StresnetError, VideoError, printable
from stresnet.worker_process import report_progress
from stresnet.workers import map_in_processes

Prepared = tuple[Path, StoredVideo | VideoError | None]  # None: longer than `longest`
_Job: TypeAlias = "tuple[Path, Path]"  # a video, and where it is prepared
_Outcomes: TypeAlias = "Iterable[tuple[int, bool | StresnetError]]"


@contextmanager
def prepared_ahead(
    videos: Iterable[Path],
    *,
    longest: float = math.inf,
    isolated: bool = False,
    **how: Any,
) -> Iterator[Iterator[Prepared]]:
    """Prepare videos in order.

    A video that cannot be read comes with its error and does not stop the others. A prepared video
    exists until the next one is asked for. Leaving the block ends the work, even in the middle of a
    video.

    Args:
        longest: seconds; a longer video is not prepared and comes as None.
        isolated: in a process of its own, where the next video is prepared while the consumer is
            busy, and a decoder that crashes or hangs costs one video; from a script, only under
            `if __name__ == "__main__":`. Otherwise here, each when it is asked for.
        how: as in `prepare_video`: parameters, short_side, threads, device, chunks.
    """
    prepare = partial(_prepare, longest, how)
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        jobs = {
            number: (video, Path(scratch, f"{number}.zip")) for number, video in enumerate(videos)
        }
        if isolated:
            with closing(map_in_processes(prepare, jobs, workers=1)) as outcomes:
                yield _usable(jobs, outcomes)
        else:
            yield _usable(jobs, _in_this_process(prepare, jobs))


def _prepare(longest: float, how: Mapping[str, Any], job: _Job) -> bool:
    """Prepare a video, unless it is too long; return whether it is prepared."""
    video, store = job
    if longest < math.inf and lasts_longer(video, longest):
        return False
    prepare_video(video, store, **how, on_frames=lambda frames: report_progress(0.0))
    return True


def _in_this_process(prepare: Callable[[_Job], bool], jobs: Mapping[int, _Job]) -> _Outcomes:
    for number, job in jobs.items():
        try:
            yield number, prepare(job)
        except VideoError as error:
            yield number, error


def _usable(jobs: Mapping[int, _Job], outcomes: _Outcomes) -> Iterator[Prepared]:
    for number, outcome in outcomes:
        video, store = jobs[number]
        if outcome is True:
            yield video, StoredVideo(store)
            store.unlink()
        elif outcome is False:
            yield video, None
        elif isinstance(outcome, JobError):
            yield (
                video,
                VideoError(
                    f"{printable(video)}: {outcome}",
                    remedy="free memory, or encode it again: ffmpeg -i OLD NEW.mp4",
                ),
            )
        elif isinstance(outcome, VideoError):
            yield video, outcome
        else:
            raise outcome
