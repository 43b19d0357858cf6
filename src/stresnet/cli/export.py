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
    to: Annotated[str, typer.Option(help="onnx, torch-export or openvino.")],
    out: Annotated[Path, typer.Option(help="The file: .onnx, .pt2 or .xml (and .bin).")],
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Frames the file takes, px, as in 128x171; default: training crop."
        ),
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option(
            "--clip", metavar="VIDEO", help="To compare scores on; default: two shipped clips."
        ),
    ] = None,
) -> None:
    """Write a model for other programs; refused unless it gives the same scores."""
    from stresnet.exporting import export_model

    sides = None if size is None else height_and_width(size)
    agreement = export_model(model, to, out, size=sides, clips=clips or (), say=say)
    written = ", ".join(f"{path} ({path.stat().st_size / 1e6:.1f} MB)" for path in agreement.files)
    say(f"{written}: greatest difference of a score {agreement.difference:.0e} of the greatest")


def height_and_width(text: str) -> tuple[int, int]:
    """`128x171` -> (128, 171).

    Raises:
        UsageError: it is not two whole numbers.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--size is {text!r}; expected height x width, as in 128x171")
    return int(parts[0]), int(parts[1])
