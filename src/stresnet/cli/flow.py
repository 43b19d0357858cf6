"""`stresnet flow`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Threads


def flow(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    view: Annotated[
        Path | None,
        typer.Option(help="An mp4 to look at: the video, and beside it its flow as colour."),
    ] = None,
    flo: Annotated[
        Path | None, typer.Option(help="Folder for the flow as Middlebury .flo files.")
    ] = None,
    max_px: Annotated[
        float, typer.Option(help="Pixels per frame at which a colour is full.")
    ] = 8.0,
    threads: Threads = None,
) -> None:
    """Compute a video's TV-L1 flow, to look at it or to use it elsewhere."""
    from stresnet.flow_video import flow_view
    from stresnet.workers import cores

    fields = flow_view(video, view=view, flo=flo, max_px=max_px, threads=threads or cores())
    for written in (view, flo):
        if written is not None:
            say(f"{fields} flow fields: {written}")
