"""`stresnet export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Model
from stresnet.errors import UsageError


def export(
    model: Model,
    to: Annotated[str, typer.Option(help="onnx or torch-export.")],
    out: Annotated[Path, typer.Option(help="The file: .onnx or .pt2.")],
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Frames the file takes, px, as in 128x171; default: training crop."
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

    sides = None if size is None else height_and_width(size)
    agreement = export_model(model, to, out, size=sides, clips=clips or ())
    megabytes = out.stat().st_size / 1e6
    say(
        f"{out} ({megabytes:.1f} MB): scores differ by at most {agreement.difference:.0e}, "
        "relative to the greatest"
    )


def height_and_width(text: str) -> tuple[int, int]:
    """`128x171` -> (128, 171).

    Raises:
        UsageError: it is not two whole numbers.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--size is {text!r}; expected height x width, as in 128x171")
    return int(parts[0]), int(parts[1])
