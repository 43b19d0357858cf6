"""What `prepare` takes: how many files, hours and gigabytes, without writing anything.

Lengths come from the files' headers, speed and size from preparing the first frames of a few of
these videos, as many at a time as the run would.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from stresnet.data.prepare.job import PrepareJob, prepare_jobs
from stresnet.data.prepare.many import known_done, packed_report, workers_for
from stresnet.data.prepare.one import prepare_frames
from stresnet.data.prepare.part import WHOLE, Part
from stresnet.data.store.index import is_packed
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.probe import VideoInfo, probe
from stresnet.errors import StresnetError, UsageError
from stresnet.files import address_of
from stresnet.flow import AUTHORS, TVL1Parameters, tv_l1
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.workers import map_in_processes

SAMPLES = 6  # videos tried, at least one per worker
SAMPLE_FRAMES = 9


@dataclass(frozen=True)
class PreparationEstimate:
    """What preparing videos takes.

    Attributes:
        videos: files in all, including those that cannot be opened.
        prepared: how many of these are prepared already.
        failures: (name, reason) of those that cannot be opened.
        frames, seconds: of the videos that are left to prepare.
        speed: frames per second of all workers together; 0 if there is nothing to do.
        bytes: what they will take in the store.
        free: bytes on the disk.
    """

    videos: int
    prepared: int
    failures: tuple[tuple[str, str], ...]
    frames: int
    seconds: float
    speed: float
    bytes: float
    free: int

    @property
    def hours(self) -> float:
        """How long the run will take."""
        return self.frames / self.speed / 3600 if self.speed else 0.0


def estimate_preparation(
    videos: Sequence[tuple[Path, str]],
    out: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    workers: int | None = None,
    device: str = "auto",
    part: Part = WHOLE,
) -> PreparationEstimate:
    """Estimate what `prepare` will take; nothing is written to `out`.

    Raises:
        UsageError: as in `prepare`, or videos or `out` are in an object store.
    """
    if any(address_of(path) for path, _ in videos[:1]) or address_of(out):
        raise UsageError(
            "what is in an object store is not estimated", remedy="leave --dry-run out"
        )
    jobs = prepare_jobs(videos, out, parameters=parameters, short_side=short_side, part=part)
    if is_packed(out):
        report = packed_report(jobs, out)
        return PreparationEstimate(
            videos=len(jobs),
            prepared=len(report.skipped),
            failures=report.failures,
            frames=0,
            seconds=0.0,
            speed=0.0,
            bytes=0.0,
            free=_free(out),
        )
    lengths: dict[str, VideoInfo] = {}
    failures: list[tuple[str, str]] = []
    known = known_done(jobs, out)
    unknown = {job.name: job for job in jobs if job.name not in known}
    workers, threads = workers_for(device, workers, len(unknown))
    for name, outcome in map_in_processes(_length_unless_done, unknown, workers=workers):
        if isinstance(outcome, StresnetError):
            failures.append((name, str(outcome)))
        elif outcome is not None:
            lengths[name] = outcome

    pixels = sum(length.frames * length.pixels for length in lengths.values())
    frames = sum(length.frames for length in lengths.values())
    to_do = [unknown[name] for name in sorted(lengths)]
    seconds_per_pixel, bytes_per_pixel = _rates(to_do, workers, threads, device)
    hours = pixels * seconds_per_pixel / workers / 3600
    return PreparationEstimate(
        videos=len(jobs),
        prepared=len(jobs) - len(lengths) - len(failures),
        failures=tuple(sorted(failures)),
        frames=frames,
        seconds=sum(length.seconds for length in lengths.values()),
        speed=frames / hours / 3600 if hours else 0.0,
        bytes=pixels * bytes_per_pixel,
        free=_free(out),
    )


def _length_unless_done(job: PrepareJob) -> VideoInfo | None:
    return None if job.is_done() else probe(job.video, short_side=job.short_side)


def _rates(
    jobs: Sequence[PrepareJob], workers: int, threads: int, device: str
) -> tuple[float, float]:
    """(seconds, bytes) per pixel of a frame, by trying videos spread over the list."""
    wanted = min(max(SAMPLES, workers), len(jobs))
    tried = [jobs[i * len(jobs) // wanted] for i in range(wanted)]
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        samples = {
            number: replace(job, store=Path(scratch) / f"{number}.zip")
            for number, job in enumerate(tried)
        }
        outcomes = list(map_in_processes(partial(_try, threads, device), samples, workers=workers))
    measured = [outcome for _, outcome in outcomes if not isinstance(outcome, StresnetError)]
    if not measured:
        return 0.0, 0.0
    pixels, seconds, size = np.sum(measured, axis=0)
    return float(seconds / pixels), float(size / pixels)


def _try(threads: int, device: str, job: PrepareJob) -> tuple[int, float, int]:
    """(pixels, seconds, bytes) of the first frames of a video; wall-clock seconds."""
    # Compiled, or loaded, before the clock starts.
    tv_l1(np.zeros((2, 16, 16), np.uint8), device=device)
    started = time.perf_counter()
    frames = iter_frames(job.video, short_side=job.short_side)
    images = np.stack([frame.image for frame in islice(frames, SAMPLE_FRAMES)])
    stored = prepare_frames(
        images,
        job.store,
        fps=1,
        parameters=job.parameters,
        short_side=job.short_side,
        threads=threads,
        device=device,
    )
    seconds = time.perf_counter() - started
    return images[..., 0].size, seconds, stored.path.stat().st_size


def _free(folder: Path) -> int:
    """Bytes left on the disk of a folder that need not exist yet."""
    there = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    return shutil.disk_usage(there).free
