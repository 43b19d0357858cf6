"""Video files -> prepared videos, many at a time.

    jobs --(one process each: prepare_video)--> out/CLASS/clip.avi.zip, failures.csv

Safe to interrupt: stores that are intact, of the same source and prepared the same way are kept,
all others are made again. Files that have not changed since they were last compared are not read
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from stresnet.cloud import listing, records
from stresnet.data.prepare.job import KEEP, PrepareJob, prepare_jobs, prepare_unless_done
from stresnet.data.prepare.part import WHOLE, Part
from stresnet.data.splits.inputs import videos_of
from stresnet.data.store.index import (
    PARTS,
    Indexed,
    Look,
    add_to_index,
    is_packed,
    read_index,
    read_packed,
)
from stresnet.data.store.location import default_store, key_of
from stresnet.device import gpu
from stresnet.errors import UsageError
from stresnet.files import address_of, remove_stale_partials, require_writable
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.jobs import DEADLINE, Done, Engine, JobReport, job_report, saving
from stresnet.progress import OnProgress, silent
from stresnet.workers import cores, map_in_processes, worker_count

# Each worker decodes, writes JPEGs, and takes up to 3 GB of GPU memory; not measured on a GPU.
WORKERS_A_GPU = 4
SAVE_SECONDS = 30.0  # between two entries into the index: what a kill can cost


@dataclass(frozen=True)
class PrepareReport(JobReport):
    """What became of the videos.

    Attributes:
        index: what is known about each that was done or skipped, by name.
    """

    index: Mapping[str, Indexed] = field(default_factory=dict, compare=False, repr=False)


def prepare(
    videos: str | Path | Iterable[Path | tuple[Path, str]],
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    part: Part = WHOLE,
    device: str = "auto",
    deadline: float | None = DEADLINE,
    verify: bool = False,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> PrepareReport:
    """Prepare many videos in worker processes, each at `store_path(out, name)`.

    A video that fails, hangs, or kills its process does not stop the others; `out`/failures.csv
    lists them. Safe to interrupt: the same call resumes, and produces the same bytes. Videos that
    were imported are left as they are. From a script, call it under `if __name__ == "__main__":`,
    like everything that uses multiprocessing.

    Where `out` holds shards (see `pack`), nothing is written: a video that is in none of them
    fails.

    Args:
        videos: a video, a folder of them, a CSV or text list; or files, each with its name, a
            relative path with `/`. A single file goes by its file name. Or an address (see
            `stresnet.cloud`): each video is fetched, prepared and forgotten.
        out: None is the folder's own store (see `default_store`). If it is an address, each
            prepared video is sent there when it is finished.
        workers: videos at a time; None is one for each processor core, on GPUs at most
            `WORKERS_A_GPU` for each.
        part: the part of the videos to prepare; its failures go to a file of its own.
        device: where the optical flow is computed (see `stresnet.device`); "auto" and "cuda" take
            all GPUs.
        deadline: seconds without a decoded frame after which a video counts as hung, and fails.
        verify: read every byte of videos and stores, even if they look unchanged.
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).
        on_progress: gets the number of videos finished, with the shares of those being prepared.

    Raises:
        DatasetError: there is no such folder, or no video in it.
        UsageError: a name occurs twice or leads out of `out`, `workers` is less than 1, `out` is
            missing for a list of files, or is on the Hugging Face hub.
        EnvironmentProblem: the disk is full, `out` cannot be written, or the device is not there,
            out of memory, busy or gone.
    """
    if isinstance(videos, str | Path):
        if out is None:
            out = default_store(videos, parameters=parameters, short_side=short_side)
        videos = videos_of(Path(videos))
    if out is None:
        raise UsageError("a list of videos has no store of its own", remedy="give `out`")
    out = Path(out)
    if (address_of(out) or "").startswith("hf:"):
        raise UsageError(
            f"{address_of(out)}: there, each prepared video would be a commit",
            remedy="prepare to a disk, then: stresnet pack STORE --out hf://...",
        )
    jobs = prepare_jobs(videos, out, parameters=parameters, short_side=short_side, part=part)
    if is_packed(out):
        return packed_report(jobs, out)
    with records(out, PARTS, part.failures_file) as notes:
        known = known_done(jobs, notes)
        if verify:
            known = {}
        to_do = {job.name: job for job in jobs if job.name not in known}
        workers, threads = workers_for(device, workers, len(to_do))
        if to_do:
            require_writable(notes)
            remove_stale_partials(job.store for job in to_do.values())
        fresh: dict[str, Indexed] = {}

        def save() -> None:
            add_to_index(notes, fresh, part=part.index_file)
            fresh.clear()

        def keep(name: str, done: Done) -> None:
            known[name] = fresh[name] = done.value

        already = tuple(known)
        outcomes = engine(
            partial(prepare_unless_done, threads=threads, device=device),
            to_do,
            workers=workers,
            deadline=deadline,
            on_progress=on_progress,
        )
        outcomes = saving(outcomes, save, SAVE_SECONDS)
        report = job_report(outcomes, notes / part.failures_file, on_done=keep)
        if report.failures:  # of workers that were killed
            remove_stale_partials(job.store for job in to_do.values())
    return PrepareReport(
        done=report.done,
        skipped=tuple(sorted([*already, *report.skipped])),
        failures=report.failures,
        warnings=_warnings(known),
        index=known,
    )


def packed_report(jobs: Iterable[PrepareJob], shards: Path) -> PrepareReport:
    """Report packed videos as prepared and the others as failed: they cannot be prepared here."""
    packed = read_packed(shards)
    known = {job.name: packed[key] for job in jobs if (key := key_of(job.name)) in packed}
    failures = [
        (job.name, f"is not among the packed videos of {shards}")
        for job in jobs
        if job.name not in known
    ]
    failures += [
        (job.name, f"prepared differently: {'; '.join(differing)}")
        for job in jobs
        if job.name in known and (differing := job.differing(known[job.name].preparation))
    ]
    for name, _ in failures:
        known.pop(name, None)
    return PrepareReport(
        skipped=tuple(sorted(known)),
        failures=tuple(sorted(failures)),
        warnings=_warnings(known),
        index=known,
    )


def _warnings(known: Mapping[str, Indexed]) -> tuple[tuple[str, str], ...]:
    return tuple((name, line) for name in sorted(known) for line in known[name].warnings)


def workers_for(device: str, wanted: int | None, jobs: int) -> tuple[int, int]:
    """Like `worker_count`, for flow on that device."""
    if wanted is None and gpu(device) is not None:
        import torch

        gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 1
        wanted = min(cores(), WORKERS_A_GPU * gpus)
    return worker_count(wanted, jobs)


def known_done(jobs: Iterable[PrepareJob], notes: Path) -> dict[str, Indexed]:
    """The jobs that were found done before, and whose files have not changed since.

    Args:
        notes: the folder of the index.

    Raises:
        UsageError: some were prepared in another way, which this would overwrite.
    """
    by_name = {job.name: job for job in jobs}
    listed = cache(listing)  # in an object store, each folder is listed once

    def look(path: Path) -> Look | None:
        return Look.of(path, lambda path: listed(path.parent).get(path.name))

    done: dict[str, Indexed] = {}
    otherwise: list[str] = []
    for name, found in read_index(notes):
        if not (job := by_name.get(name)) or found.store != look(job.store):
            continue
        if differing := job.differing(found.preparation):
            otherwise.append(f"of {name}, {'; '.join(differing)}")
        elif found.source == look(job.video):
            done[name] = found
    if otherwise:
        raise UsageError(
            f"{notes}: holds {len(otherwise)} of these videos, prepared otherwise: {otherwise[0]}",
            remedy=KEEP,
        )
    return done
