"""`stresnet demo`: `predict` on the clips that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stresnet.cli.options import Device, Precision, Threads
from stresnet.cli.progress import progress


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the page.")] = Path("demo"),
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Recognise the real clips that ship with stresnet, and write a page to look at."""
    from stresnet.demonstration import demo

    table = Table("clip", "true", "appearance", "motion", "both", "recognised")
    with progress("demo") as on_progress:
        clips = demo(
            out, device=device, precision=precision, threads=threads, on_progress=on_progress
        )
    for clip in clips:
        of_truth = (clip.of_truth.appearance, clip.of_truth.motion, clip.of_truth.score)
        mark = "[green]yes[/]" if clip.correct else f"[red]no: {clip.prediction.label}[/]"
        table.add_row(clip.name, clip.truth, *(f"{score:.2f}" for score in of_truth), mark)
    table.caption = "appearance, motion, both: the score of the true class"
    Console().print(table)
    correct = sum(clip.correct for clip in clips)
    Console().print(f"{correct} of {len(clips)} recognised; look at {out / 'index.html'}")
