"""`stresnet prepare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stresnet.cli.app import FAILURES_SHOWN, say, say_failures
from stresnet.cli.options import Workers
from stresnet.cli.progress import progress
from stresnet.data.formats.layouts import Layout

if TYPE_CHECKING:
    from stresnet.data.prepare.estimate import PreparationEstimate
    from stresnet.data.prepare.many import Shard
    from stresnet.workers import JobReport


def prepare(
    videos: Annotated[Path, typer.Argument(metavar="VIDEOS", help="A video, or a folder of them.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--store",
            "--out",
            help="Folder for the prepared videos; default: the data's own below ./store or "
            "$STRESNET_STORE.",
        ),
    ] = None,
    workers: Workers = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N parts, for a job array.")
    ] = "1/1",
    format: Annotated[
        Layout,
        typer.Option(
            help="Write them in this layout, too, in a folder beside the store: its name, a dash, "
            "the layout's name."
        ),
    ] = Layout.STORE,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read every byte, also of files that look unchanged."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate how many files, hours and gigabytes.")
    ] = False,
) -> None:
    """Decode videos and compute their TV-L1 optical flow into a store. Rerun to resume."""
    from stresnet.data.formats.layouts import layout_names
    from stresnet.data.formats.write import export
    from stresnet.data.prepare.estimate import estimate_preparation
    from stresnet.data.prepare.many import Shard
    from stresnet.data.prepare.many import prepare as prepare_all
    from stresnet.data.store.location import default_store
    from stresnet.data.video.inputs import find_videos

    part = Shard.parse(shard)
    out = out or default_store(videos)
    found = find_videos(videos)
    names = [name for _, name in found]
    layout_names(names if format is not Layout.STORE else (), format)  # clashes, before the work
    if dry_run:
        estimate = estimate_preparation(found, out, workers=workers, shard=part)
        say_preparation(estimate, out)
        if format is not Layout.STORE:
            say(f"and as much again in {layout_folder(out, format)}")
        raise typer.Exit(1 if estimate.failures else 0)

    with progress("prepare") as on_progress:
        report = prepare_all(
            found, out, workers=workers, shard=part, verify=verify, on_progress=on_progress
        )
    say_report(report, "prepared", out, part)
    failed = bool(report.failures)
    if format is not Layout.STORE:
        folder = layout_folder(out, format)
        usable = {*report.done, *report.skipped}
        with progress(format.value) as on_export:
            report = export(
                [name for name in names if name in usable],
                out,
                folder,
                format,
                workers=workers,
                shard=part,
                on_progress=on_export,
            )
        say_report(report, "written", folder, part)
        failed = failed or bool(report.failures)
    raise typer.Exit(1 if failed else 0)


def layout_folder(out: Path, format: Layout) -> Path:
    """`store` -> `store-authors`, beside it."""
    named = out if out.name not in ("", "..") else out.resolve()
    return named.with_name(f"{named.name}-{format.value}")


def say_report(report: JobReport, what: str, folder: Path, shard: Shard) -> None:
    """What became of the videos, in a line, and why some failed."""
    say(
        f"{folder}: {len(report.done)} {what}, {len(report.skipped)} already there, "
        f"{len(report.failures)} failed"
        + (f", {len(report.warnings)} warnings" if report.warnings else "")
    )
    say_warnings(report.warnings)
    say_failures(report.failures, str(folder / shard.failures_file))


def say_warnings(warnings: Sequence[tuple[str, str]]) -> None:
    """Name the videos of which something was lost; the first ones, if there are many."""
    for name, warning in warnings[:FAILURES_SHOWN]:
        say(f"warning: {name}: {warning}")
    if len(warnings) > FAILURES_SHOWN:
        say(f"and {len(warnings) - FAILURES_SHOWN} more warnings; `stresnet check` has all of one")


def say_preparation(estimate: PreparationEstimate, out: Path) -> None:
    """A dry run's result, for a person."""
    to_do = estimate.videos - estimate.prepared - len(estimate.failures)
    say(
        f"{estimate.videos} videos: {to_do} to prepare, {estimate.prepared} already there, "
        f"{len(estimate.failures)} cannot be opened"
    )
    say_failures(estimate.failures, "the list that a run writes")
    if not to_do:
        return
    say(f"{estimate.frames:,.0f} frames, {duration(estimate.seconds)} of video")
    if not estimate.speed:
        say("none of those tried could be prepared: no estimate of time and size")
        return
    took = duration(estimate.hours * 3600)
    say(f"about {took} of work, at {estimate.speed:.1f} frames/s as tried on this machine")
    say(f"about {estimate.bytes / 1e9:.2f} GB in {out}; {estimate.free / 1e9:.1f} GB free")
    if estimate.bytes > estimate.free:
        say("warning: that does not fit; choose another --out")


def duration(seconds: float) -> str:
    """Hours, or minutes where it is less than one hour."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
