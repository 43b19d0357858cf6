"""`stresnet doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from stresnet.cli.options import Workers
from stresnet.cli.progress import progress
from stresnet.errors import printable

COLOURS = {"fine": "green", "limited": "yellow", "odd": "yellow"}  # others are red


def doctor(
    videos: Annotated[
        Path | None,
        typer.Argument(
            metavar="VIDEOS",
            help="Also examine this video, or those of this folder, CSV or .txt list.",
            show_default=False,
        ),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Decode every frame instead of the first ones.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Check that stresnet works on this machine, and which videos cannot be used and why.

    Exit code 1 if a video cannot be used, 3 if stresnet itself does not work here.
    """
    from stresnet.diagnosis import State, doctor

    with progress("doctor") as on_progress:
        found = doctor(videos, thorough=thorough, workers=workers, on_progress=on_progress)
    for finding in found.environment:
        show(finding.state, f"{finding.topic}: {finding.says}", finding.remedy)
    unusable = [video for video in found.videos if video.unusable]
    odd = [video for video in found.videos if video.odd]
    for video in unusable:
        show("unusable", f"{printable(video.name)}: {video.unusable}", video.remedy)
    for video in odd:
        show("odd", f"{printable(video.name)}: {'; '.join(video.odd)}")
    if found.videos:
        fine = len(found.videos) - len(odd) - len(unusable)
        Console().print(f"videos: {fine} fine, {len(odd)} odd, {len(unusable)} unusable")
    if any(finding.state is State.BROKEN for finding in found.environment):
        raise typer.Exit(3)
    raise typer.Exit(1 if unusable else 0)


def show(mark: str, line: str, remedy: str = "") -> None:
    """Print one line, and one for its remedy."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[{COLOURS.get(mark, 'red')}]{mark:9}[/]{escape(line)}")
    if remedy:
        console.print(f"{'':9}fix: {escape(remedy)}")
