"""`stresnet explain`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.cli.options import Device, Model, Precision, Threads
from stresnet.errors import UsageError

if TYPE_CHECKING:
    from stresnet.explanation import Explanation

logger = logging.getLogger(__name__)


def explain(
    model: Model,
    video: Annotated[
        Path | None, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("explanation"),
    label: Annotated[
        str | None,
        typer.Option("--class", help="Class to explain; default: the one recognised."),
    ] = None,
    intervals: Annotated[
        int,
        typer.Option(
            min=0, help="Parts of the video to hide in turn; 0 leaves this out, and is faster."
        ),
    ] = 10,
    maximise: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Instead of a video: draw what the network has learned of CLASS."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --maximise.")] = 0,
    threads: Threads = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Show where and when each stream saw a class, or (--maximise) what it has learned of one."""
    from stresnet import explanation as explaining
    from stresnet.explanation import activation_maximisation as ascent
    from stresnet.model import load_model

    if (video is None) == (maximise is None):
        raise UsageError(
            "expected either a video or --maximise CLASS", remedy="see `stresnet explain --help`"
        )
    net = load_model(model, device=device)
    if video is not None:
        found = explaining.explain(
            net, video, label=label, intervals=intervals, threads=threads, precision=precision
        )
        for warning in found.video.warnings:
            logger.warning(f"{video}: {warning}")
        explaining.save_explanation(found, out)
        Console().print(summary(found))
        say(f"look at {out / 'index.html'}")
    elif maximise is not None:
        pictures = [
            explaining.maximise(net, maximise, temporal=temporal, seed=seed)
            for temporal in (ascent.FAST_MOTION, ascent.SLOW_MOTION)
        ]
        ascent.write_class_pictures(pictures, out)
        for picture in pictures:
            change = f"margin {picture.start:+.2f} -> {picture.margin:+.2f}"
            say(f"temporal {picture.temporal:g}: {change}")
        say(f"look at {out / 'class.jpg'}")


def summary(explanation: Explanation) -> Table:
    """Return each stream's share in the margin, and where and when its evidence is strongest."""
    table = Table(
        "stream",
        "share",
        "strongest at",
        "place (x, y)",
        title=escape(f"{explanation.label}: {explanation.margin:+.2f} above the other classes"),
    )
    for stream, name in enumerate(("appearance", "motion")):
        peak = explanation.peak(stream)
        share = explanation.of_streams[stream]
        table.add_row(name, f"{share:+.2f}", f"{peak.time:.2f} s", f"{peak.x:.0%}, {peak.y:.0%}")
    return table
