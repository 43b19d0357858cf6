"""Video files -> prepared videos, many at a time.

    jobs --(one process each: prepare_video)--> out/CLASS/clip.avi.zip, failures.csv

Run again, it goes on where it was: what is intact, of the same source and prepared the same way is
left alone, all else is made anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stresnet.batch import (
    BatchReport,
    OnProgress,
    require_writable,
    run_batch,
    silent,
    worker_count,
)
from stresnet.data.prepare.one import PREPARATION, preparation, prepare_frames, prepare_video
from stresnet.data.prepare.shard import WHOLE, Shard
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.store_names import store_path
from stresnet.data.video.container import content_sha256
from stresnet.data.video.probe import probe
from stresnet.errors import StoreError, UsageError
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.leftovers import remove_leftovers
from stresnet.workers import Tell

__all__ = [
    "PREPARATION",
    "preparation",
    "prepare",
    "prepare_frames",
    "prepare_video",
    "store_path",
]


def prepare(
    videos: Iterable[Path | tuple[Path, str]],
    out: Path,
    *,
    workers: int | None = None,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = 256,
    shard: Shard = WHOLE,
    on_progress: OnProgress = silent,
    on_frames: Callable[[str, int, int], None] = lambda name, frames, announced: None,
) -> BatchReport:
    """Prepare many videos in worker processes, each at `store_path(out, name)`.

    A video that fails, or that kills its process, stops no other; `out`/failures.csv lists them.
    A run that was ended at any moment is gone on with by the same call, and ends with the same
    bytes. Videos that were imported are left as they are. From a script, call it under
    `if __name__ == "__main__":`, as all multiprocessing.

    Args:
        videos: files, each with its name: a relative path with `/`. Alone, a file is called by its
            file name.
        workers: videos at a time; None is one for each processor core.
        shard: the part of the videos to prepare; its failures go to a file of its own.
        on_progress: called with (videos finished, videos in all, name) after each video.
        on_frames: called during a video with (name, frames written, frames that the file
            announces or 0).

    Raises:
        UsageError: a name is twice there or leads out of `out`, or `workers` is less than 1.
        EnvironmentProblem: the disk is full, or `out` cannot be written.
    """
    jobs = prepare_jobs(videos, out, parameters=parameters, short_side=short_side, shard=shard)
    workers, threads = worker_count(workers, len(jobs))
    require_writable(out)
    remove_leftovers(job.store for job in jobs)
    return run_batch(
        _PrepareUnlessDone(threads),
        {job.name: job for job in jobs},
        workers=workers,
        failures=out / shard.failures_file,
        on_progress=on_progress,
        on_news=lambda name, frames: on_frames(name, *frames),
    )


@dataclass(frozen=True)
class PrepareJob:
    """A video, where it shall go, and how."""

    name: str
    video: Path
    store: Path
    parameters: TVL1Parameters
    short_side: int

    def is_done(self) -> bool:
        """Whether the store is there, whole, of this video's content and prepared this way.

        Where the video is gone, its store is taken at its word.

        Raises:
            VideoError: the video cannot be read.
        """
        if not self.store.exists():
            return False
        stored = StoredVideo(self.store)
        try:
            stored.verify()
            if stored.imported:
                return True  # on purpose, and from pictures: there is no content to compare
            stored.check(preparation(self.parameters, short_side=self.short_side))
        except StoreError:
            return False
        if not self.video.exists():
            return True
        # By content, since dates and sizes lie.
        return stored.index.source.sha256 == content_sha256(self.video)


def prepare_jobs(
    videos: Iterable[Path | tuple[Path, str]],
    out: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = 256,
    shard: Shard = WHOLE,
) -> list[PrepareJob]:
    """The shard's jobs, in the order given; arguments and errors as of `prepare`."""
    named = [video if isinstance(video, tuple) else (video, video.name) for video in videos]
    jobs = [
        PrepareJob(name, video, store_path(out, name), parameters, short_side)
        for video, name in named
    ]
    _require_distinct(jobs)
    return [job for job in jobs if shard.holds(job.name)]


@dataclass(frozen=True)
class _PrepareUnlessDone:
    threads: int

    def __call__(self, job: PrepareJob, tell: Tell) -> bool:
        if job.is_done():
            return False
        frames = probe(job.video, short_side=job.short_side).frames
        prepare_video(
            job.video,
            job.store,
            parameters=job.parameters,
            short_side=job.short_side,
            threads=self.threads,
            on_frames=lambda written: tell((written, frames)),
        )
        return True


def _require_distinct(jobs: Sequence[PrepareJob]) -> None:
    count = Counter(job.store for job in jobs)
    if twice := [job.name for job in jobs if count[job.store] > 1]:
        raise UsageError(
            f"{len(twice)} videos share their names: {', '.join(twice[:5])}",
            remedy="name them by their paths, relative to a folder that holds them all",
        )
