"""One video to prepare: where it goes, how it is prepared, and whether that is done already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stresnet.cloud import fetched, sent
from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.part import WHOLE, Part
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.format import differences
from stresnet.data.store.index import Indexed, Look
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.container import content_sha256
from stresnet.data.video.probe import probe
from stresnet.errors import StoreError, UsageError, in_short
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.jobs import Done
from stresnet.worker_process import report_progress

KEEP = (
    "name another --store, or the --recipe that it was prepared for; or, if it is no longer "
    "needed, remove the folder"
)


@dataclass(frozen=True)
class PrepareJob:
    """A video, where it goes, and how it is prepared."""

    name: str
    video: Path
    store: Path
    parameters: TVL1Parameters
    short_side: int

    def differing(self, made: Mapping[str, Any]) -> list[str]:
        """Where the preparation `made` differs from this job's; an imported video is left as it is.

        An import was made on purpose, and from pictures: there is no video to compare with.
        """
        expected = preparation(self.parameters, short_side=self.short_side)
        return [] if made == expected or "imported_from" in made else differences(made, expected)

    def is_done(self) -> bool:
        """Whether the store exists, is intact, and was prepared this way from this video.

        Both files are read completely. If the video is gone, its store is trusted.

        Raises:
            VideoError: the video cannot be read.
            StoreError: it was prepared in another way, which this would overwrite.
        """
        stored = StoredVideo(self.store)
        try:
            stored.verify()
        except StoreError:
            return False
        if differing := self.differing(stored.preparation):
            raise StoreError(
                f"{self.store}: is prepared otherwise: {'; '.join(differing)}", remedy=KEEP
            )
        if stored.imported or not self.video.exists():
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
    part: Part = WHOLE,
) -> list[PrepareJob]:
    """The part's jobs, in the order given; arguments and errors as in `prepare`."""
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
    return [job for job in jobs if part.holds(job.name)]


def prepare_unless_done(job: PrepareJob, *, threads: int = 1, device: str = "auto") -> Done:
    """Prepare one video, unless that was done before: what a worker or a cluster runs."""
    source, store = Look.of(job.video), Look.of(job.store)  # before they are read
    with fetched(job.video) as video, fetched(job.store) as target:
        here = replace(job, video=video, store=target)
        if skipped := here.is_done():
            found = Indexed.of(StoredVideo(target), source=source, store=store)
        else:
            frames = probe(video, short_side=job.short_side).frames

            def tell(done: int) -> None:
                report_progress(min(done / frames, 0.99) if frames else 0.0)

            with sent(job.store) as target:
                stored = prepare_video(
                    video,
                    target,
                    parameters=job.parameters,
                    short_side=job.short_side,
                    threads=threads,
                    device=device,
                    on_frames=tell,
                )
                found = Indexed.of(stored, source=source, store=None)
            found = replace(found, store=Look.of(job.store))
    return Done(skipped=skipped, warnings=found.warnings, value=found)
