"""`stresnet fuse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.errors import UsageError

if TYPE_CHECKING:
    from stresnet.evaluation.score_files import ScoreTable


def fuse(
    scores: Annotated[
        list[str],
        typer.Argument(
            metavar="SCORES...",
            help="Score files of the same videos: .npz, .csv or .json; FILE.npz#motion takes one "
            "stream.",
        ),
    ],
    weights: Annotated[
        str | None, typer.Option(help="One a file, as in 1,1.5; default: all alike.")
    ] = None,
    normalise: Annotated[
        str, typer.Option(help="raw, softmax or l2 (the paper, with IDT); one, or one a file.")
    ] = "raw",
    out: Annotated[
        Path | None, typer.Option(help="File for the fused scores: .npz, .csv or .json.")
    ] = None,
) -> None:
    """Fuse the scores of several programs, ours or others', by a weighted mean."""
    from stresnet.evaluation.fusion import fuse as fuse_tables
    from stresnet.evaluation.score_files import read_scores, write_scores

    tables = [read_scores(place) for place in scores]
    kinds = normalise.split(",")
    fused = fuse_tables(
        tables,
        weights=None if weights is None else numbers(weights, "--weights"),
        normalise=kinds * len(tables) if len(kinds) == 1 else kinds,  # type: ignore[arg-type]
    )
    if out is not None:
        write_scores(fused, out)
        say(f"{len(fused.names)} videos: {out}")
    if fused.truth is not None:
        Console().print(accuracy_table([*tables, fused], fused))
    elif out is None:
        say("nothing to tell: no file has the true classes, and there is no --out")


def numbers(text: str, option: str) -> list[float]:
    """`1,1.5` -> [1.0, 1.5].

    Raises:
        UsageError: a part is no number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}; expected numbers, as in 1,1.5") from error


def accuracy_table(tables: list[ScoreTable], fused: ScoreTable) -> Table:
    """What each file reaches on the fused videos, and all together."""
    from stresnet.evaluation.metrics import mean_class_accuracy, top_k_accuracy

    shown = Table("", "accuracy", "mean of classes", title=f"{len(fused.names)} videos")
    truth = fused.truth
    if truth is not None:
        for table in tables:
            values = (f(table.scores, truth) for f in (top_k_accuracy, mean_class_accuracy))
            name = "fused" if table is fused else escape(table.origin)
            shown.add_row(name, *(f"{100 * value:.1f} %" for value in values))
    return shown
