"""`stresnet prepare`, `import`, `check`, `pack` and `flow`: videos and their flow on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stresnet.cli.app import say, say_each
from stresnet.cli.options import Device, DryRun, Ray, Threads, Videos, Workers
from stresnet.cli.progress import progress
from stresnet.data.formats.layouts import Layout
from stresnet.errors import UsageError
from stresnet.files import address_of

if TYPE_CHECKING:
    from stresnet.data.prepare.estimate import PreparationEstimate
    from stresnet.data.store.check import CheckReport
    from stresnet.jobs import JobReport

PARTS = "`stresnet check` on a part of the store shows all of that part"
Out = Annotated[
    Path | None,
    typer.Option(
        "--store",
        "--out",
        help="Folder for the prepared videos.",
        show_default="the data's own folder in ./store, or in $STRESNET_STORE",
    ),
]


def prepare(
    videos: Videos,
    out: Out = None,
    recipe: Annotated[
        str, typer.Option(help="Prepare as this recipe of `train` needs it (size, flow).")
    ] = "quick",
    workers: Workers = None,
    device: Device = "auto",
    part: Annotated[
        str, typer.Option(metavar="I/N", help="Prepare only the I-th of N parts, for a job array.")
    ] = "1/1",
    format: Annotated[
        Layout,
        typer.Option(
            help="Also write the videos in this layout, into the folder STORE-LAYOUT beside the "
            "store."
        ),
    ] = Layout.STORE,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read every byte, even of files that look unchanged."),
    ] = False,
    dry_run: DryRun = False,
    ray: Ray = None,
) -> None:
    """Decode videos and compute their TV-L1 optical flow into a store. Rerun to resume."""
    from stresnet.cluster import cluster
    from stresnet.data.formats.layouts import layout_names
    from stresnet.data.formats.write import export
    from stresnet.data.prepare import estimate, many
    from stresnet.data.prepare.part import Part
    from stresnet.data.splits.inputs import videos_of
    from stresnet.data.store.location import default_store
    from stresnet.training.recipes import recipe_named

    our_part = Part.parse(part)
    preparing = recipe_named(recipe).preparing
    out = out or default_store(videos, **preparing)
    found = videos_of(videos)
    names = [name for _, name in found]
    layout_names(names if format is not Layout.STORE else (), format)  # clashes, before the work
    if format is not Layout.STORE and (address := address_of(out)):
        raise UsageError(
            f"{address}: other layouts are made of a store on a disk", remedy="leave --format out"
        )
    if dry_run:
        expected = estimate.estimate_preparation(
            found, out, **preparing, workers=workers, device=device, part=our_part
        )
        say_preparation(expected, out)
        if format is not Layout.STORE:
            say(f"and as much again in {layout_folder(out, format)}")
        raise typer.Exit(1 if expected.failures else 0)

    with cluster(ray, out) as engine, progress("prepare") as on_progress:
        report = many.prepare(
            found,
            out,
            **preparing,
            workers=workers,
            device=device,
            part=our_part,
            verify=verify,
            engine=engine,
            on_progress=on_progress,
        )
    say_report(report, "prepared", out, our_part.failures_file)
    failed = bool(report.failures)
    if format is not Layout.STORE:
        folder = layout_folder(out, format)
        usable = {*report.done, *report.skipped}
        names = [name for name in names if name in usable]
        with cluster(ray, folder) as engine, progress(format.value) as on_progress:
            written = export(
                names,
                out,
                folder,
                format,
                workers=workers,
                part=our_part,
                engine=engine,
                on_progress=on_progress,
            )
        say_report(written, "written", folder, our_part.failures_file)
        failed = failed or bool(written.failures)
    raise typer.Exit(1 if failed else 0)


def layout_folder(out: Path, format: Layout) -> Path:
    """`store` -> `store-authors`, beside it."""
    named = out if out.name not in ("", "..") else out.resolve()
    return named.with_name(f"{named.name}-{format.value}")


def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Frames and flow as JPEGs: the authors' jpegs_256 and tvl1_flow, or the folders "
            "of denseflow.",
        ),
    ],
    out: Out = None,
    bound: Annotated[
        float,
        typer.Option(help="Pixels per frame at which the other tool clipped flow (denseflow: 32)."),
    ] = 20.0,
    fps: Annotated[float, typer.Option(help="Frames per second of the videos.")] = 25.0,
    videos: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the videos themselves: names and places are then as of `prepare`."
        ),
    ] = None,
    workers: Workers = None,
    ray: Ray = None,
) -> None:
    """Import frames and flow that another tool has written, and check them. Rerun to resume."""
    from stresnet.cluster import cluster
    from stresnet.data.formats.read import find_pictures, import_pictures
    from stresnet.data.splits.inputs import videos_of
    from stresnet.data.store.check import check_stores
    from stresnet.data.store.location import default_store, store_path

    out = out or default_store(videos or folder)
    found = find_pictures(folder)
    say(f"{len(found)} videos in the layout {found[0].layout}")
    names = [name for _, name in videos_of(videos)] if videos else []
    with cluster(ray, out) as engine, progress("import") as on_progress:
        report = import_pictures(
            found,
            out,
            bound=bound,
            fps=fps,
            videos=names,
            workers=workers,
            engine=engine,
            on_progress=on_progress,
        )
    say_report(report, "imported", out)
    imported = [*report.done, *report.skipped]
    if videos and (strange := sorted({*imported} - {*names})):
        say(f"{len(strange)} have no video of their name in {videos}: {', '.join(strange[:5])}")
    stores = [(store_path(out, name), name) for name in imported]
    with cluster(ray, out) as engine, progress("check") as on_progress:
        checked = check_stores(stores, workers=workers, engine=engine, on_progress=on_progress)
    say_findings(checked)
    raise typer.Exit(0 if checked.all_well and not report.failures else 1)


def check(
    store: Annotated[
        Path,
        typer.Argument(metavar="STORE", help="A prepared video, or a folder of them or of shards."),
    ],
    workers: Workers = None,
    index: Annotated[
        bool,
        typer.Option("--index", help="Write the store's index again, from what is intact."),
    ] = False,
    ray: Ray = None,
) -> None:
    """Check prepared videos: every bit, and whether the flow fits the frames."""
    from stresnet.cluster import cluster
    from stresnet.data.store.check import check_stores
    from stresnet.data.store.index import is_packed, rebuild_index

    if index and (not store.is_dir() or is_packed(store)):
        raise UsageError(
            f"{store}: only a folder of single prepared videos has an index to write again",
            remedy="leave --index out; `stresnet pack` writes that of shards",
        )

    folder = store.parent if store.is_file() else store
    with cluster(ray, folder) as engine, progress("check") as on_progress:
        report = check_stores(store, workers=workers, engine=engine, on_progress=on_progress)
    if index:
        rebuild_index(store, report.index)
    say_each("warning", report.warnings, PARTS)
    say_each("failed", report.failures, PARTS)
    say_findings(report)
    if report.all_well:
        lost = len({name for name, _ in report.warnings})
        cut = f"; {lost} of damaged or truncated videos" if lost else ""
        say(f"{report.videos} prepared videos: all intact, and nothing odd about their flow{cut}")
    raise typer.Exit(0 if report.all_well else 1)


def pack(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="A folder of prepared videos, or its address.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the shards, or its address.")],
    shard_mb: Annotated[float, typer.Option(help="Size of a shard, in megabytes.")] = 1000.0,
) -> None:
    """Pack prepared videos into large tars, which are read without unpacking. Rerun to resume."""
    from stresnet.data.store.pack import pack

    with progress("pack") as on_progress:
        report = pack(store, out, shard_bytes=round(shard_mb * 1e6), on_progress=on_progress)
    say(
        f"{out}: {len(report.done)} packed, {len(report.skipped)} already there, "
        f"{len(report.failures)} failed"
    )
    say_each("failed", report.failures, "`stresnet check` names them all")
    raise typer.Exit(1 if report.failures else 0)


def flow(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    view: Annotated[
        Path | None,
        typer.Option(help="Write an mp4 to look at: the video, and its flow as colour beside it."),
    ] = None,
    flo: Annotated[
        Path | None, typer.Option(help="Write the flow into this folder, as Middlebury .flo files.")
    ] = None,
    max_px: Annotated[
        float, typer.Option(help="Speed at which a colour is saturated, in pixels per frame.")
    ] = 8.0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Compute a video's TV-L1 flow, to look at it or to use it elsewhere."""
    from stresnet.flow_video import flow_view
    from stresnet.workers import cores

    fields = flow_view(
        video, view=view, flo=flo, max_px=max_px, threads=threads or cores(), device=device
    )
    for written in (view, flo):
        if written is not None:
            say(f"{fields} flow fields: {written}")


def say_report(
    report: JobReport, what: str, folder: Path, failures_file: str = "failures.csv"
) -> None:
    """What became of the videos, in a line, and why some failed."""
    say(
        f"{folder}: {len(report.done)} {what}, {len(report.skipped)} already there, "
        f"{len(report.failures)} failed"
        + (f", {len(report.warnings)} warnings" if report.warnings else "")
    )
    say_each("warning", report.warnings, PARTS)
    say_each("failed", report.failures, f"all are in {folder / failures_file}")


def say_findings(report: CheckReport) -> None:
    """What seems to be wrong with the flow, and with how many videos."""
    for sentence, names in report.by_finding.items():
        more = ", ..." if len(names) > 3 else ""
        say(f"{len(names)} of {report.videos} videos ({', '.join(names[:3])}{more}): {sentence}")


def say_preparation(estimate: PreparationEstimate, out: Path) -> None:
    """A dry run's result, for a person."""
    to_do = estimate.videos - estimate.prepared - len(estimate.failures)
    say(
        f"{estimate.videos} videos: {to_do} to prepare, {estimate.prepared} already there, "
        f"{len(estimate.failures)} cannot be opened"
    )
    say_each("failed", estimate.failures, "a run lists all of them")
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
