"""Video files -> prepared videos: decode, flow, store.

    iter_frames -> grey -> tv_l1 -> to_bytes -> StoreWriter        (32 frames at a time)

`prepare_video` makes one. `prepare` makes many, in parallel; run again, it goes on where it was:
what is intact, of the same source and prepared the same way is left alone, all else is made anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.failures import write_failures
from stresnet.data.isolated import run_isolated
from stresnet.data.jpeg import QUALITY
from stresnet.data.leftovers import remove_leftovers
from stresnet.data.store import Source, StoredVideo
from stresnet.data.store_writer import StoreWriter, store_writer
from stresnet.data.video import Frame, frames_of_array, iter_frames, library_versions
from stresnet.data.video_file import content_sha256
from stresnet.errors import EnvironmentProblem, StoreError, UsageError
from stresnet.flow import AUTHORS, TVL1Parameters, grey, to_bytes, tv_l1
from stresnet.flow.quantize import BOUND

BLOCK = 32  # frames in memory at a time
LONGEST_NAME = 200  # bytes; file systems take 255, and the name grows while a file is written
FAILURES = "failures.csv"


def preparation(parameters: TVL1Parameters = AUTHORS, *, short_side: int = 256) -> dict[str, Any]:
    """All that decides what the pixels of a prepared video are, as JSON values."""
    return {
        "short_side": short_side,
        "jpeg_quality": QUALITY,
        "flow": "TV-L1, field k from frame k to k+1, x then y",
        "flow_bound": BOUND,
        **{f"tv_l1_{name}": value for name, value in asdict(parameters).items()},
    }


PREPARATION: Mapping[str, Any] = preparation()


def prepare_video(
    video: Path,
    store: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = 256,
    threads: int = 1,
) -> StoredVideo:
    """Decode a video file and compute its flow; write both to `store`, whole or not at all.

    Args:
        short_side: of the frames, in pixels.
        threads: for the optical flow; the result does not depend on it.

    Raises:
        VideoError: the video cannot be decoded.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    source = Source(video.name, content_sha256(video))
    with _writer(store, source, parameters, short_side) as writer:
        frames = iter_frames(video, short_side=short_side, on_warning=writer.warnings.append)
        _write(frames, writer, parameters, threads)
    return StoredVideo(store)


def prepare_frames(
    images: NDArray[np.uint8],
    store: Path,
    *,
    fps: float,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = 256,
    threads: int = 1,
) -> StoredVideo:
    """As `prepare_video`, for frames (N,H,W,3) uint8 RGB that are in memory already.

    Raises:
        UsageError: the array is no video.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    source = Source("array", hashlib.sha256(images.tobytes()).hexdigest())
    with _writer(store, source, parameters, short_side) as writer:
        _write(frames_of_array(images, fps=fps, short_side=short_side), writer, parameters, threads)
    return StoredVideo(store)


def _writer(
    store: Path, source: Source, parameters: TVL1Parameters, short_side: int
) -> AbstractContextManager[StoreWriter]:
    return store_writer(
        store,
        source=source,
        preparation=preparation(parameters, short_side=short_side),
        libraries={
            **library_versions(),
            **{name: version(name) for name in ("stresnet", "numba", "simplejpeg")},
        },
    )


def _write(
    frames: Iterator[Frame], writer: StoreWriter, parameters: TVL1Parameters, threads: int
) -> None:
    last: NDArray[np.uint8] | None = None  # (1,H,W) grey, of the block before
    while block := list(islice(frames, BLOCK)):
        images = np.stack([frame.image for frame in block])
        luma = grey(images)
        joined = luma if last is None else np.concatenate([last, luma])
        writer.add_frames(images, [frame.time for frame in block])
        if len(joined) > 1:
            writer.add_flow(to_bytes(tv_l1(joined, parameters=parameters, threads=threads)))
        last = luma[-1:]


@dataclass(frozen=True)
class PrepareReport:
    """What became of the videos, by name, in the order given.

    Attributes:
        done: prepared in this run.
        skipped: prepared before, and intact.
        failures: (name, reason) of those that could not be prepared.
    """

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]


def prepare(
    videos: Iterable[Path | tuple[Path, str]],
    out: Path,
    *,
    workers: int | None = None,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = 256,
    on_progress: Callable[[int, int, str], None] = lambda finished, total, name: None,
) -> PrepareReport:
    """Prepare many videos in worker processes, each at `store_path(out, name)`.

    A video that fails, or that kills its process, stops no other; `out`/failures.csv lists them.
    A run that was ended at any moment is gone on with by the same call, and ends with the same
    bytes. From a script, call it under `if __name__ == "__main__":`, as all multiprocessing.

    Args:
        videos: files, each with its name: a relative path with `/`. Alone, a file is called by its
            file name.
        workers: videos at a time; None is one for each processor core.
        on_progress: called with (videos finished, videos in all, name) after each video.

    Raises:
        UsageError: a name is twice there or leads out of `out`, or `workers` is less than 1.
        EnvironmentProblem: the disk is full, or `out` cannot be written.
    """
    named = [video if isinstance(video, tuple) else (video, video.name) for video in videos]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min((cores or 1) if workers is None else workers, max(len(named), 1))
    if workers < 1:
        raise UsageError(f"{workers} workers, expected at least 1")
    threads = max((cores or 1) // workers, 1)
    jobs = [
        _Job(name, video, store_path(out, name), parameters, short_side, threads)
        for video, name in named
    ]
    _require_distinct(jobs)
    _require_writable(out)
    remove_leftovers(job.store for job in jobs)

    outcomes: dict[str, str | Exception] = {}
    with closing(run_isolated(_prepare_unless_done, jobs, workers=workers)) as running:
        for job, outcome in running:
            if isinstance(outcome, EnvironmentProblem):
                raise outcome
            outcomes[job.name] = outcome
            on_progress(len(outcomes), len(jobs), job.name)

    in_order = [(job.name, outcomes[job.name]) for job in jobs]
    report = PrepareReport(
        done=tuple(name for name, outcome in in_order if outcome == _DONE),
        skipped=tuple(name for name, outcome in in_order if outcome == _SKIPPED),
        failures=tuple(
            (name, str(error)) for name, error in in_order if isinstance(error, Exception)
        ),
    )
    write_failures(out / FAILURES, report.failures)
    return report


def store_path(out: Path, name: str) -> Path:
    """Where the prepared video of this name lies: `CLASS/clip.avi` -> `out/CLASS/clip.avi.zip`.

    The ending stays, so that clip.avi and clip.mp4 do not meet. Very long names are cut, and told
    apart by a hash.

    Raises:
        UsageError: the name is empty or leads out of `out`.
    """
    relative = PurePosixPath(name)
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{name!r} is no name of a video, expected a path relative to its data")
    last = os.fsencode(relative.name)
    if len(last) > LONGEST_NAME:
        last = last[:LONGEST_NAME] + b"-" + hashlib.sha256(last).hexdigest()[:16].encode()
    return out.joinpath(relative.parent, os.fsdecode(last) + ".zip")


@dataclass(frozen=True)
class _Job:
    name: str
    video: Path
    store: Path
    parameters: TVL1Parameters
    short_side: int
    threads: int


_DONE, _SKIPPED = "done", "skipped"


def _prepare_unless_done(job: _Job) -> str:
    if _is_done(job):
        return _SKIPPED
    prepare_video(
        job.video,
        job.store,
        parameters=job.parameters,
        short_side=job.short_side,
        threads=job.threads,
    )
    return _DONE


def _is_done(job: _Job) -> bool:
    if not job.store.exists():
        return False
    stored = StoredVideo(job.store)
    try:
        stored.verify()
        stored.check(preparation(job.parameters, short_side=job.short_side))
    except StoreError:
        return False
    # By content, since dates and sizes lie.
    return stored.index.source.sha256 == content_sha256(job.video)


def _require_distinct(jobs: Sequence[_Job]) -> None:
    count = Counter(job.store for job in jobs)
    if twice := [job.name for job in jobs if count[job.store] > 1]:
        raise UsageError(
            f"{len(twice)} videos share their names: {', '.join(twice[:5])}",
            remedy="name them by their paths, relative to a folder that holds them all",
        )


def _require_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise EnvironmentProblem(
            f"{out}: cannot be written ({error.strerror})", remedy="choose another output folder"
        ) from error
