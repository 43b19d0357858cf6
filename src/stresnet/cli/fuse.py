"""`stresnet fuse`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.cli.options import numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        str | None, typer.Option(help="One for each file, as in 1,1.5; default: all equal.")
    ] = None,
    normalise: Annotated[
        str,
        typer.Option(
            help="raw, softmax or l2 (the paper's, with IDT): one for all files, or one for each."
        ),
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
        weights=None if weights is None else numbers(weights, float, "--weights"),
        normalise=kinds[0] if len(kinds) == 1 else kinds,  # type: ignore[arg-type]
    )
    if out is not None:
        write_scores(fused, out)
        say(f"{len(fused.names)} videos: {out}")
    if fused.truth is None:
        if out is None:
            say("nothing to show: no file has the true classes, and there is no --out")
        return
    Console().print(accuracy_table([*tables, replace(fused, origin="fused")], fused.truth))


def accuracy_table(tables: Sequence[ScoreTable], truth: NDArray[np.int64]) -> Table:
    """Return the accuracies of several score files on the same videos."""
    from stresnet.evaluation.metrics import mean_class_accuracy, top_k_accuracy

    shown = Table("", "accuracy", "mean of classes", title=f"{len(truth)} videos")
    for table in tables:
        values = (f(table.scores, truth) for f in (top_k_accuracy, mean_class_accuracy))
        shown.add_row(escape(table.origin), *(f"{100 * value:.1f} %" for value in values))
    return shown
