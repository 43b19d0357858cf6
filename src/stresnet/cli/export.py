"""`stresnet export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Model


def export(
    model: Model,
    to: Annotated[str, typer.Option(help="onnx or torch-export.")],
    out: Annotated[Path, typer.Option(help="The file: .onnx or .pt2.")],
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            metavar="HEIGHT WIDTH",
            help="Of the frames that the file takes, px; default: the training crop's.",
        ),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            "--clip",
            metavar="VIDEO",
            help="Compare scores on this video; repeatable. Default: two clips that ship.",
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
