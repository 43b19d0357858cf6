"""Video files -> prepared videos, many at a time.

    jobs --(one process each: prepare_video)--> out/CLASS/clip.avi.zip, failures.csv

Safe to interrupt: what is intact, of the same source and prepared the same way is kept, everything
else is made again. Files that have not changed since they were last compared are not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.location import default_store, store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.verified import Look, Verified, read_verified, record_verified
from stresnet.data.video.container import content_sha256
from stresnet.data.video.inputs import find_videos
from stresnet.data.video.probe import probe
from stresnet.device import gpu
from stresnet.errors import StoreError, UsageError, in_short
from stresnet.files import remove_stale_partials, require_writable
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.progress import OnProgress, silent
from stresnet.workers import (
    DEADLINE,
    Done,
    Engine,
    JobReport,
    cores,
    job_report,
    map_in_processes,
    report_progress,
    worker_count,
)


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of`, counted from 1. Which videos it holds depends on their names alone.

    By a hash, not by the place in a list: machines that see different lists, because a video was
    added meanwhile, still never take the same video. Parts are equal only on average.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"shard {self.number}/{self.of}, expected 1/{self.of} to {self.of}/{self.of}",
                remedy="count from 1, as in --shard 1/8 ... --shard 8/8",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/8` -> the second of eight parts.

        Raises:
            UsageError: the text is not such a pair, or the number lies outside 1 ... n.
        """
        pair = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        if pair is None:
            raise UsageError(f"--shard is {text!r}, expected i/n, as in 2/8")
        return cls(int(pair[1]), int(pair[2]))

    def holds(self, name: str) -> bool:
        """Whether the video of this name belongs to this part; to exactly one of all parts."""
        place = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8])
        return place % self.of == self.number - 1

    @property
    def failures_file(self) -> str:
        """Each part has its own, since parts share a folder."""
        return f"failures-{self.number}-of-{self.of}.csv" if self.of > 1 else "failures.csv"


WHOLE = Shard(1, 1)
# Each decodes, writes JPEGs, and takes up to 3 GB of the GPU's memory; not measured on a GPU.
WORKERS_A_GPU = 4


def prepare(
    videos: str | Path | Iterable[Path | tuple[Path, str]],
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    shard: Shard = WHOLE,
    device: str = "auto",
    deadline: float | None = DEADLINE,
    verify: bool = False,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Prepare many videos in worker processes, each at `store_path(out, name)`.

    A video that fails, hangs, or kills its process stops no other; `out`/failures.csv lists them.
    Safe to interrupt: the same call resumes, and produces the same bytes. Videos that were imported
    are left as they are. From a script, call it under `if __name__ == "__main__":`, as everything
    that uses multiprocessing.

    Args:
        videos: a video, or a folder of them; or files, each with its name, a relative path with
            `/`. Alone, a file is called by its file name.
        out: None is the folder's own store (see `default_store`).
        workers: videos at a time; None is one for each processor core, on GPUs at most
            `WORKERS_A_GPU` for each.
        shard: the part of the videos to prepare; its failures go to a file of its own.
        device: where the optical flow is computed (see `stresnet.device`); "auto" and "cuda" take
            all GPUs.
        deadline: seconds without a decoded frame after which a video counts as hung, and fails.
        verify: read every byte of videos and stores, also where they look unchanged.
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).
        on_progress: gets the number of videos finished, with the shares of those being prepared.

    Raises:
        DatasetError: there is no such folder, or no video in it.
        UsageError: a name occurs twice or leads out of `out`, `workers` is less than 1, or `out` is
            missing for a list of files.
        EnvironmentProblem: the disk is full, `out` cannot be written, or the device is not there,
            out of memory, busy or gone.
    """
    if isinstance(videos, str | Path):
        out = default_store(videos) if out is None else out
        videos = find_videos(Path(videos))
    if out is None:
        raise UsageError("a list of videos has no store of its own", remedy="give `out`")
    out = Path(out)
    jobs = prepare_jobs(videos, out, parameters=parameters, short_side=short_side, shard=shard)
    known = {} if verify else known_done(jobs, out)
    to_do = {job.name: job for job in jobs if job.name not in known}
    workers, threads = workers_for(device, workers, len(to_do))
    if to_do:
        require_writable(out)
        remove_stale_partials(job.store for job in to_do.values())
    found: dict[str, Verified] = {}
    outcomes = engine(
        partial(prepare_unless_done, threads=threads, device=device),
        to_do,
        workers=workers,
        deadline=deadline,
        on_progress=on_progress,
    )
    try:
        report = job_report(
            outcomes,
            out / shard.failures_file,
            on_done=lambda name, done: found.update({name: done.value}),
        )
    finally:
        record_verified(out, found)
    if report.failures:
        remove_stale_partials(job.store for job in to_do.values())  # of workers that were killed
    warnings = [(name, line) for name, each in known.items() for line in each.warnings]
    return replace(
        report,
        skipped=tuple(sorted([*known, *report.skipped])),
        warnings=tuple(sorted([*warnings, *report.warnings])),
    )


def workers_for(device: str, wanted: int | None, jobs: int) -> tuple[int, int]:
    """As `worker_count`, for flow on that device."""
    if wanted is None and gpu(device) is not None:
        import torch

        gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 1
        wanted = min(cores(), WORKERS_A_GPU * gpus)
    return worker_count(wanted, jobs)


def known_done(jobs: Iterable[PrepareJob], out: Path) -> dict[str, Verified]:
    """The jobs that were found done before, and whose files have not changed since."""
    record = read_verified(out)
    found = ((job, record.get(job.name)) for job in jobs)
    return {
        job.name: verified
        for job, verified in found
        if verified
        and verified.preparation == job.preparation_digest
        and verified.store == Look.of(job.store)
        and verified.source == Look.of(job.video)
    }


@cache
def _preparation_digest(parameters: TVL1Parameters, short_side: int) -> str:
    content = json.dumps(preparation(parameters, short_side=short_side))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PrepareJob:
    """A video, where it shall go, and how."""

    name: str
    video: Path
    store: Path
    parameters: TVL1Parameters
    short_side: int

    @property
    def preparation_digest(self) -> str:
        """Equal for jobs whose results may be mixed."""
        return _preparation_digest(self.parameters, self.short_side)

    def is_done(self) -> bool:
        """Whether the store exists, is intact, and was prepared this way from this video.

        All of both files is read. Where the video is gone, its store is believed.

        Raises:
            VideoError: the video cannot be read.
        """
        stored = StoredVideo(self.store)
        try:
            stored.verify()
            if stored.imported:
                return True  # on purpose, and from pictures: there is no content to compare with
            stored.check(preparation(self.parameters, short_side=self.short_side))
        except StoreError:
            return False
        if not self.video.exists():
            return True
        return stored.index.origin.sha256 == content_sha256(
            self.video, on_block=lambda: report_progress(0.0)
        )


def prepare_jobs(
    videos: Iterable[Path | tuple[Path, str]],
    out: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    shard: Shard = WHOLE,
) -> list[PrepareJob]:
    """The shard's jobs, in the order given; arguments and errors as of `prepare`."""
    named = [video if isinstance(video, tuple) else (video, video.name) for video in videos]
    jobs = [
        PrepareJob(name, video, store_path(out, name), parameters, short_side)
        for video, name in named
    ]
    count = Counter(job.store for job in jobs)
    if twice := [job.name for job in jobs if count[job.store] > 1]:
        raise UsageError(
            f"{len(twice)} videos share their names: {in_short(twice)}",
            remedy="name them by their paths, relative to a folder that holds them all",
        )
    return [job for job in jobs if shard.holds(job.name)]


def prepare_unless_done(job: PrepareJob, *, threads: int = 1, device: str = "auto") -> Done:
    """Prepare one video, unless that was done before: what a worker or a cluster runs."""
    source, store = Look.of(job.video), Look.of(job.store)  # before they are read
    if skipped := job.is_done():
        stored = StoredVideo(job.store)
    else:
        frames = probe(job.video, short_side=job.short_side).frames
        stored = prepare_video(
            job.video,
            job.store,
            parameters=job.parameters,
            short_side=job.short_side,
            threads=threads,
            device=device,
            on_frames=lambda done: report_progress(min(done / frames, 0.99) if frames else 0.0),
        )
        store = Look.of(job.store)
    assert store is not None
    verified = Verified(source, store, job.preparation_digest, stored.warnings)
    return Done(skipped=skipped, warnings=stored.warnings, value=verified)
