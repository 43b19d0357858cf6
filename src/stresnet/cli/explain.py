"""`stresnet explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.cli.options import Model, Threads
from stresnet.errors import UsageError

if TYPE_CHECKING:
    from stresnet.explanation import Explanation


def explain(
    model: Model,
    video: Annotated[
        Path | None, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is written.")] = Path("explanation"),
    label: Annotated[
        str | None,
        typer.Option("--class", help="Class to explain; default: the one recognised."),
    ] = None,
    intervals: Annotated[
        int,
        typer.Option(min=0, help="Parts of the video to hide one by one; 0: none, and quicker."),
    ] = 10,
    maximise: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Instead: draw what the network has learned of CLASS."),
    ] = None,
    spatial: Annotated[
        float, typer.Option(min=0, help="Smoothness in space, for --maximise.")
    ] = 10.0,
    temporal: Annotated[
        list[float] | None,
        typer.Option(
            help="Smoothness in time, for --maximise; repeat it to compare; "
            "default: 0 (fast) and 100 (slow).",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of ascent, for --maximise.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of the start, for --maximise.")] = 0,
    threads: Threads = 2,
) -> None:
    """Show where and when each stream saw a class, or (--maximise) what it has learned of one."""
    if video is not None and maximise is None:
        _explain_video(model, video, out, label, intervals, threads)
    elif video is None and maximise is not None:
        _maximise(model, maximise, out, spatial, temporal, steps, seed)
    else:
        raise UsageError(
            "expected either a video or --maximise CLASS", remedy="see `stresnet explain --help`"
        )


def _explain_video(
    model: str, video: Path, out: Path, label: str | None, intervals: int, threads: int
) -> None:
    from stresnet.explanation import explain as explain_one
    from stresnet.explanation import save_explanation

    explanation = explain_one(model, video, label=label, intervals=intervals, threads=threads)
    for warning in explanation.video.warnings:
        say(f"warning: {video}: {warning}")
    save_explanation(explanation, out)
    Console().print(summary(explanation))
    say(f"look at {out / 'index.html'}")


def _maximise(
    model: str,
    label: str,
    out: Path,
    spatial: float,
    temporal: list[float] | None,
    steps: int,
    seed: int,
) -> None:
    from stresnet.explanation import maximise as draw
    from stresnet.explanation.activation_maximisation import FAST, SLOW
    from stresnet.explanation.class_pictures import write_class_pictures
    from stresnet.model import load_model

    net = load_model(model, device="cpu")
    pictures = []
    for weight in temporal or (FAST, SLOW):
        picture = draw(net, label, spatial=spatial, temporal=weight, steps=steps, seed=seed)
        say(f"temporal {weight:g}: margin {picture.start:+.2f} -> {picture.margin:+.2f}")
        pictures.append(picture)
    write_class_pictures(pictures, out)
    say(f"look at {out / 'class.jpg'} and {out / 'class.mp4'}")


def summary(explanation: Explanation) -> Table:
    """Each stream's share in the margin, and where and when its evidence is strongest."""
    table = Table(
        "stream",
        "share",
        "strongest at",
        "place (x, y)",
        title=escape(f"{explanation.label}: {explanation.margin:+.2f} above the other classes"),
    )
    for stream, (name, share) in enumerate(
        zip(("appearance", "motion"), explanation.of_streams, strict=True)
    ):
        peak = explanation.peak(stream)
        place = f"{peak.x:.0%}, {peak.y:.0%}"
        table.add_row(name, f"{share:+.2f}", f"{peak.time:.2f} s", place)
    return table
