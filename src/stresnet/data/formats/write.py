"""A store -> the layouts that others read. One door: every layout is a reader of the store.

    StoredVideo --files()--> (path, content) ... --(partial folders, renamed)--> OUT/...
                                                 --(one tar)-------------------> OUT/NAME.tar

`OUT/.done/NAME` holds the seal of the store that a video was written from, and is written last:
run again, what was written from an equal store is left alone, all else is written anew.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stresnet.data.formats.layouts import PICTURES, Format, PictureLayout, layout_names
from stresnet.data.prepare.many import WHOLE, Shard
from stresnet.data.store.jpeg import encode_grey
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import INDEX, StoredVideo
from stresnet.errors import UsageError
from stresnet.files import atomic_directory, atomic_write, remove_stale_partials, require_writable
from stresnet.flow import to_pixels, write_flo
from stresnet.progress import OnProgress, silent
from stresnet.workers import Done, JobReport, run_jobs, worker_count

BLOCK = 32  # flow fields in memory at a time

Content = bytes | NDArray[np.float32]  # of a file; an array is flow (2,H,W) for a .flo file


def export(
    videos: Iterable[str],
    store: Path,
    out: Path,
    format: Format,
    *,
    workers: int | None = None,
    shard: Shard = WHOLE,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Write prepared videos in another layout, each whole or not at all.

    A run that was ended at any moment is gone on with by the same call, and ends with the same
    bytes. Videos that are missing in the store, or damaged, are listed in `out`/failures.csv.

    Args:
        videos: names of all videos, of other shards too.
        store: folder that `prepare` filled.
        shard: the part of the videos to write.

    Raises:
        UsageError: names clash in this layout, or `format` is the store's own.
        EnvironmentProblem: the disk is full, or `out` cannot be written.
    """
    if format is Format.STORE:
        raise UsageError("a store is no export", remedy=f"choose one of {_others()}")
    jobs = {
        video: _Job(StoredVideo(store_path(store, video)), name, out, format)
        for video, name in layout_names(videos, format).items()
        if shard.holds(video)
    }
    workers, _ = worker_count(workers, len(jobs))
    require_writable(out)
    remove_stale_partials(target for job in jobs.values() for target in (*job.targets, job.mark))
    return run_jobs(
        _export_unless_done,
        jobs,
        workers=workers,
        failures=out / shard.failures_file,
        on_progress=on_progress,
    )


def _others() -> str:
    return ", ".join(format.value for format in Format if format is not Format.STORE)


@dataclass(frozen=True)
class _Job:
    stored: StoredVideo
    name: str  # in the layout
    out: Path
    format: Format

    @property
    def folders(self) -> Mapping[PurePosixPath, str]:
        """Those that hold the video and nothing else, below `out`, each with its files' ending."""
        if layout := PICTURES.get(self.format):
            paths = (layout.frame(self.name, 0), *layout.field(self.name, 0))
            return {path.parent: ".jpg" for path in paths}
        return {
            PurePosixPath("frames", self.name): ".jpg",
            PurePosixPath("flow", self.name): ".flo",
        }

    @property
    def targets(self) -> Sequence[Path]:
        if self.format is Format.WEBDATASET:
            return (self.out / f"{self.name}.tar",)
        return tuple(self.out / folder for folder in self.folders)

    @property
    def mark(self) -> Path:
        return self.out / ".done" / self.name


def _export_unless_done(job: _Job) -> Done:
    job.stored.verify()
    seal = job.stored.seal
    if all(target.exists() for target in job.targets) and _read(job.mark) == seal:
        return Done(skipped=True)
    job.mark.unlink(missing_ok=True)
    if job.format is Format.WEBDATASET:
        _write_tar(job)
    else:
        _write_folders(job)
    with atomic_write(job.mark) as partial:
        partial.write_text(seal)
    return Done()


def _read(mark: Path) -> str:
    return mark.read_text() if mark.is_file() else ""


def _write_folders(job: _Job) -> None:
    with ExitStack() as stack:
        partial = {
            folder: stack.enter_context(atomic_directory(job.out / folder, ending=ending))
            for folder, ending in job.folders.items()
        }
        for path, content in files(job.stored, job.name, job.format):
            target = partial[path.parent] / path.name
            if isinstance(content, bytes):
                target.write_bytes(content)
            else:
                write_flo(target, content)


def _write_tar(job: _Job) -> None:
    with atomic_write(job.targets[0]) as partial, tarfile.open(partial, "w") as tar:
        for path, content in files(job.stored, job.name, job.format):
            # TarInfo's own date, 1970, and no owner: equal stores give equal bytes.
            member = tarfile.TarInfo(str(path))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(bytes(content)))


def files(
    stored: StoredVideo, name: str, format: Format
) -> Iterator[tuple[PurePosixPath, Content]]:
    """Every file of a prepared video in a layout, under the name it has there.

    Frames are the store's JPEGs, byte for byte; flow is decoded and written anew.

    Raises:
        StoreError: the store is missing or damaged.
    """
    if layout := PICTURES.get(format):
        yield from _pictures(stored, name, layout)
    elif format is Format.FLO:
        yield from _flo(stored, name)
    else:
        yield from _sample(stored, name)


def _pictures(
    stored: StoredVideo, name: str, layout: PictureLayout
) -> Iterator[tuple[PurePosixPath, bytes]]:
    for index, jpeg in enumerate(stored.frame_jpegs()):
        yield layout.frame(name, index), jpeg
    for index, field in enumerate(_fields(stored)):
        for path, levels in zip(layout.field(name, index), field, strict=True):
            yield path, encode_grey(levels)


def _flo(stored: StoredVideo, name: str) -> Iterator[tuple[PurePosixPath, Content]]:
    for index, jpeg in enumerate(stored.frame_jpegs()):
        yield PurePosixPath("frames", name, f"{index:06d}.jpg"), jpeg
    for index, field in enumerate(_fields(stored)):
        yield PurePosixPath("flow", name, f"{index:06d}.flo"), to_pixels(field)


def _sample(stored: StoredVideo, name: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """WebDataset: what shares the path up to its first dot is one sample."""
    yield PurePosixPath(f"{name}.{INDEX}"), stored.index_json()
    for index, jpeg in enumerate(stored.frame_jpegs()):
        yield PurePosixPath(f"{name}.{index:06d}.rgb.jpg"), jpeg
    for index, field in enumerate(_fields(stored)):
        for channel, levels in zip(("x", "y"), field, strict=True):
            yield PurePosixPath(f"{name}.{index:06d}.flow_{channel}.jpg"), encode_grey(levels)


def _fields(stored: StoredVideo) -> Iterator[NDArray[np.uint8]]:
    """Every flow field (2,H,W), in order."""
    count = stored.num_frames - 1
    for start in range(0, count, BLOCK):
        yield from stored.flow(range(start, min(start + BLOCK, count)))
