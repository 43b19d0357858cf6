"""Video files -> files of trajectories, many at a time.

    jobs --(one process each: extract_video)--> out/CLASS/clip.avi.npz, failures.csv

Rerun to resume: files made from the same video in the same way are left alone, and all others are
made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stresnet.data.video.container import content_sha256
from stresnet.data.video.decode import iter_frames
from stresnet.errors import StoreError, UsageError
from stresnet.files import remove_stale_partials, require_writable
from stresnet.flow import grey
from stresnet.idt.feature_file import feature_path, read_index, write_features
from stresnet.idt.layout import LENGTH, PATCH, Grey, optional
from stresnet.idt.trajectories import iter_trajectories
from stresnet.jobs import Done, Engine, JobReport, job_report
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes

cv2 = optional("cv2")

SHORT_SIDE = 240  # pixels, as UCF101 and HMDB51 have: their videos keep their size
VERSION = 1  # of the arithmetic


def extract(
    videos: Iterable[tuple[Path, str]],
    out: Path,
    *,
    short_side: int = SHORT_SIDE,
    workers: int | None = None,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Extract the trajectories of many videos in worker processes, to `feature_path(out, name)`.

    A video that fails does not stop the others; `out`/failures.csv lists them.

    Args:
        videos: files, each with its name: a relative path with `/`.
        short_side: of the frames, in pixels.
        workers: videos at a time; None is one for each processor core.
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).

    Raises:
        UsageError: two videos have one name, a name leads out of `out`, or a number is too small.
        EnvironmentProblem: OpenCV is missing, the disk is full, or `out` cannot be written.
    """
    if short_side < PATCH:
        raise UsageError(f"frames of short side {short_side} pixels, expected at least {PATCH}")
    jobs: dict[str, ExtractJob] = {}
    for video, name in videos:
        if name in jobs:
            raise UsageError(f"two videos are called {name}", remedy="name them by their paths")
        jobs[name] = ExtractJob(video, feature_path(out, name), short_side)
    require_writable(out)
    remove_stale_partials(job.features for job in jobs.values())
    outcomes = engine(extract_unless_done, jobs, workers=workers, on_progress=on_progress)
    return job_report(outcomes, out / "failures.csv")


@dataclass(frozen=True)
class ExtractJob:
    """A video, the file for its trajectories, and how they are made."""

    video: Path
    features: Path
    short_side: int

    def index(self) -> dict[str, Any]:
        """Return all that decides the trajectories.

        Raises:
            VideoError: a file cannot be read.
        """
        return {
            "version": VERSION,
            "source": {"name": self.video.name, "sha256": content_sha256(self.video)},
            "short_side": self.short_side,
        }


def extract_unless_done(job: ExtractJob) -> Done:
    """Do a job in a process of its own, unless it was done before in the same way."""
    cv2.setNumThreads(1)  # each core works on its own video
    index = job.index()
    try:
        made = read_index(job.features)
        if all(made.get(key) == value for key, value in index.items()):
            return Done(skipped=True, warnings=_warnings(made))
    except StoreError:
        pass
    extract_video(job, index)
    return Done(warnings=_warnings(read_index(job.features)))


def _warnings(made: dict[str, Any]) -> tuple[str, ...]:
    nothing = () if made["trajectories"] else ("without any trajectory, too short or still",)
    return (*made["warnings"], *nothing)


def extract_video(job: ExtractJob, index: dict[str, Any]) -> None:
    """Extract one video's trajectories; `index` is kept beside them.

    Raises:
        VideoError: the video cannot be read.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    warnings: list[str] = []
    count = 0

    def frames() -> Iterator[Grey]:
        nonlocal count
        decoded = iter_frames(job.video, short_side=job.short_side, on_warning=warnings.append)
        for frame in decoded:
            count += 1
            yield grey(frame.image[None])[0]

    def ending() -> dict[str, Any]:
        if count <= LENGTH:
            warnings.append(f"{count} frames; a trajectory takes {LENGTH + 1}")
        return {**index, "frames": count, "warnings": warnings}

    write_features(job.features, iter_trajectories(frames()), ending)
