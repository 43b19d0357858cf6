"""`stresnet explain` and `export`: a network looked into, and written for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import logger, say
from stresnet.cli.options import Device, Model, Precision, Threads

if TYPE_CHECKING:
    from stresnet.explanation import Explanation


def explain(
    model: Model,
    video: Annotated[Path, typer.Argument(metavar="VIDEO", dir_okay=False, help="A video file.")],
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("explanation"),
    label: Annotated[
        str | None,
        typer.Option(
            "--class", help="Class to explain.", show_default="the one that is recognised"
        ),
    ] = None,
    intervals: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of parts of the video to hide in turn; 0 skips this, which is faster.",
        ),
    ] = 10,
    protocol: Annotated[
        str,
        typer.Option(
            help="What the network sees: quick (8 chunks, as in `predict`) or paper (25, and their "
            "mirror images, as in `evaluate`)."
        ),
    ] = "quick",
    threads: Threads = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Show where and when each stream saw a class in a video."""
    from stresnet import explanation as explaining
    from stresnet.files import require_writable

    require_writable(out)
    found = explaining.explain(
        model,
        video,
        label=label,
        intervals=intervals,
        protocol=protocol,
        threads=threads,
        device=device,
        precision=precision,
    )
    for warning in found.video.warnings:
        logger.warning(f"{video}: {warning}")
    explaining.save_explanation(found, out)
    Console().print(summary(found))
    say(f"look at {out / 'index.html'}")


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


def export(
    model: Model,
    to: Annotated[str, typer.Option(help="Format: onnx or torch-export.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx or .pt2.")],
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH",
            help="Size of the frames that the file takes, in pixels.",
            show_default="the training crop's",
        ),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            "--clip",
            metavar="VIDEO",
            help="Video to compare the scores on; repeat it for several.",
            show_default="two clips that ship",
        ),
    ] = None,
) -> None:
    """Write a model for other programs; refused unless the file gives the same scores."""
    from stresnet.exporting import export_model

    difference = export_model(model, to, out, size=size, clips=clips or ())
    megabytes = out.stat().st_size / 1e6
    say(
        f"{out} ({megabytes:.1f} MB): scores differ by at most {difference:.0e}, relative to the "
        "greatest"
    )
