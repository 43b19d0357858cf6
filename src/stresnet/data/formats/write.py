"""A store -> the layouts that other tools read.

    StoredVideo --(the authors': three folders of JPEGs)--> OUT/jpegs_256/..., OUT/tvl1_flow/...
                --(WebDataset: one tar)-------------------> OUT/NAME.tar

`OUT/.done/NAME` holds the seal of the store that a video was written from. It is written last. When
run again, videos written from an equal store are left alone, and all others are written again.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.formats.layouts import AUTHORS_FOLDERS, AUTHORS_PICTURE, Layout, layout_names
from stresnet.data.prepare.part import WHOLE, Part
from stresnet.data.store.format import INDEX
from stresnet.data.store.index import place_of
from stresnet.data.store.jpeg import encode_grey
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError
from stresnet.files import (
    atomic_directory,
    atomic_write,
    remove_stale_partials,
    require_writable,
    write_text,
)
from stresnet.jobs import Done, Engine, JobReport, job_report
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes


def export(
    videos: Iterable[str],
    store: Path,
    out: Path,
    layout: Layout,
    *,
    workers: int | None = None,
    part: Part = WHOLE,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Write prepared videos in another layout, each whole or not at all.

    Safe to interrupt: the same call resumes, and the result has the same bytes. Videos that are
    missing in the store, or damaged, are listed in `out`/failures.csv.

    Args:
        videos: names of the videos of this part.
        store: folder that `prepare` filled.
        part: the part of the videos to write.
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).

    Raises:
        UsageError: names clash in this layout, or `layout` is the store's own.
        EnvironmentProblem: the disk is full, or `out` cannot be written.
    """
    if layout is Layout.STORE:
        others = ", ".join(other.value for other in Layout if other is not Layout.STORE)
        raise UsageError("a store is already a store", remedy=f"choose one of {others}")
    jobs = {
        video: _Job(StoredVideo(place_of(store, video)), name, out, layout)
        for video, name in layout_names(videos, layout).items()
        if part.holds(video)
    }
    require_writable(out)
    remove_stale_partials(target for job in jobs.values() for target in (*job.targets, job.mark))
    outcomes = engine(_export_unless_done, jobs, workers=workers, on_progress=on_progress)
    return job_report(outcomes, out / part.failures_file)


@dataclass(frozen=True)
class _Job:
    stored: StoredVideo
    name: str  # in the layout
    out: Path
    layout: Layout

    @property
    def targets(self) -> tuple[Path, ...]:
        """The tar, or the folders of frames, horizontal and vertical flow."""
        if self.layout is Layout.WEBDATASET:
            return (self.out / f"{self.name}.tar",)
        return tuple(self.out / folder.format(name=self.name) for folder in AUTHORS_FOLDERS)

    @property
    def mark(self) -> Path:
        return self.out / ".done" / self.name


def _export_unless_done(job: _Job) -> Done:
    job.stored.verify()
    seal = job.stored.seal
    if all(target.exists() for target in job.targets) and _read(job.mark) == seal:
        return Done(skipped=True)
    job.mark.unlink(missing_ok=True)
    if job.layout is Layout.WEBDATASET:
        _write_tar(job)
    else:
        _write_folders(job)
    write_text(job.mark, seal)
    return Done()


def _read(mark: Path) -> str:
    return mark.read_text() if mark.is_file() else ""


def _write_folders(job: _Job) -> None:
    with ExitStack() as stack:
        partial = [
            stack.enter_context(atomic_directory(target, ours=r".*\.jpg$"))
            for target in job.targets
        ]
        for kind, index, jpeg in pictures(job.stored):
            (partial[kind] / AUTHORS_PICTURE.format(number=index + 1)).write_bytes(jpeg)


def _write_tar(job: _Job) -> None:
    """Write a WebDataset: files that share their path up to the first dot are one sample."""
    kinds = ("rgb", "flow_x", "flow_y")
    with atomic_write(job.targets[0]) as partial, tarfile.open(partial, "w") as tar:
        _add_to_tar(tar, f"{job.name}.{INDEX}", job.stored.index_json())
        for kind, index, jpeg in pictures(job.stored):
            _add_to_tar(tar, f"{job.name}.{index:06d}.{kinds[kind]}.jpg", jpeg)


def _add_to_tar(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # TarInfo's own date, 1970, and no owner: equal stores give equal bytes.
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def pictures(stored: StoredVideo) -> Iterator[tuple[int, int, bytes]]:
    """Yield each JPEG of a prepared video: (0 frame, 1 x, 2 y; number from 0; content).

    Frames are the store's JPEGs, byte for byte. Flow is decoded and encoded again.

    Raises:
        StoreError: the store is missing or damaged.
    """
    for index, jpeg in enumerate(stored.jpegs("rgb")):
        yield 0, index, jpeg
    for index in range(stored.num_frames - 1):
        (field,) = stored.flow([index])
        yield 1, index, encode_grey(field[0])
        yield 2, index, encode_grey(field[1])
