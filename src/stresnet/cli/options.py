"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from stresnet.errors import UsageError

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Model folder, OWNER/NAME on the Hugging Face hub, or a model that ships: fight.",
    ),
]
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder per class, UCF101 or HMDB51 folder, or CSV with columns path, label "
        "[, source, fold or split].",
    ),
]
Fold = Annotated[
    int | None,
    typer.Option(help="Fold of the CSV, or official split, whose videos are for testing."),
]
Lists = Annotated[
    Path | None, typer.Option(help="Folder of UCF101's or HMDB51's official split files.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        help="Folder of prepared videos, filled with what is missing; default: the data's own "
        "below ./store or $STRESNET_STORE."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto (the first GPU, or the processor where there is none), cpu, cuda, cuda:N."
    ),
]
Precision = Annotated[
    str, typer.Option(help="auto (bf16 where the device multiplies it natively), fp32, bf16, fp16.")
]
Workers = Annotated[int | None, typer.Option(help="Processes; default: one a processor core.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="CPU threads for optical flow. [default: one per core]", show_default=False
    ),
]

Number = TypeVar("Number", int, float)


def numbers(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Read a list of numbers that an option is given, such as `1,2,3`.

    Args:
        kind: int or float.

    Raises:
        UsageError: a part is not such a number.
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        expected = "whole numbers, as in 1,2,3" if kind is int else "numbers, as in 1,1.5"
        raise UsageError(f"{option} is {text!r}; expected {expected}") from error
