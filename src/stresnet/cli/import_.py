"""`stresnet import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.check import say_findings
from stresnet.cli.options import Workers
from stresnet.cli.prepare import say_report
from stresnet.cli.progress import progress


def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Frames and flow as JPEGs: jpegs_256 and tvl1_flow of the authors, or denseflow's "
            "folders.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--store",
            "--out",
            help="Folder for the prepared videos; default: that of --videos, else of FOLDER, below "
            "./store or $STRESNET_STORE.",
        ),
    ] = None,
    bound: Annotated[
        float,
        typer.Option(
            help="Pixels per frame at which the other tool clipped (denseflow's own: 32)."
        ),
    ] = 20.0,
    fps: Annotated[float, typer.Option(help="Frames a second of the videos.")] = 25.0,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos, so that prepared ones are named as by `prepare`."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Import frames and flow that another tool has written, and check them. Rerun to resume."""
    from stresnet.data.formats.read import find_pictures, import_pictures
    from stresnet.data.prepare.many import WHOLE
    from stresnet.data.store.flow_check import check_stores
    from stresnet.data.store.location import default_store, store_path
    from stresnet.data.video.inputs import find_videos

    out = out or default_store(videos or folder)
    found = find_pictures(folder)
    say(f"{len(found)} videos in the layout {found[0].layout}")
    names = [name for _, name in find_videos(videos)] if videos else []
    with progress("import") as on_progress:
        report = import_pictures(
            found,
            out,
            bound=bound,
            fps=fps,
            videos=names,
            workers=workers,
            on_progress=on_progress,
        )
    say_report(report, "imported", out, WHOLE)
    imported = [*report.done, *report.skipped]
    if videos and (strange := sorted({*imported} - {*names})):
        say(f"{len(strange)} have no video of their name in {videos}: {', '.join(strange[:5])}")
    with progress("check") as on_progress:
        checked = check_stores(
            [(store_path(out, name), name) for name in imported],
            workers=workers,
            on_progress=on_progress,
        )
    say_findings(checked)
    raise typer.Exit(0 if checked.all_well and not report.failures else 1)
