"""`stresnet evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stresnet.cli.app import say, say_failures
from stresnet.cli.options import Data, Device, Fold, Lists, Precision, Store, Workers, numbers
from stresnet.cli.progress import progress
from stresnet.errors import UsageError


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Models, or a run's folder for all its networks; with {fold} in the path for "
            "several folds.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report and the scores.")] = Path(
        "runs/evaluate"
    ),
    fold: Fold = None,
    folds: Annotated[
        str | None, typer.Option(help="Several folds, as in 1,2,3: the report shows their mean.")
    ] = None,
    lists: Lists = None,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of the training run, where the test videos are drawn."),
    ] = 0,
    store: Store = None,
    protocols: Annotated[
        str,
        typer.Option(help="One or more of paper,released-code,ten-crop,centre-crop."),
    ] = "paper",
    chunks: Annotated[
        str | None,
        typer.Option(
            help="Test the last model with these numbers of chunks, too, as in 5,10: a curve."
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Fit a temperature on up to 200 training videos."),
    ] = False,
    with_idt: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES",
            help="Add Table 4's rows from the scores that `stresnet idt evaluate` wrote; with "
            "{fold} in the path for several folds.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = None,
) -> None:
    """Evaluate models on the test videos, per stream and fused. Rerun to resume."""
    from stresnet.evaluation.evaluate import evaluate as evaluate_models
    from stresnet.evaluation.protocols import protocols_named
    from stresnet.evaluation.report import console_table, write_report

    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given", remedy="give one of them")
    with progress("evaluate") as on_progress:
        comparison = evaluate_models(
            models,
            data,
            out=out,
            fold=numbers(folds, int, "--folds") if folds else fold,
            lists=lists,
            seed=seed,
            store=store,
            protocols=protocols_named(protocols.split(",")),
            chunks=numbers(chunks, int, "--chunks") if chunks else (),
            calibrated=calibrate,
            with_idt=with_idt,
            device=device,
            precision=precision,
            workers=workers,
            on_progress=on_progress,
        )
    Console().print(console_table(write_report(comparison, out)))
    say(f"look at {out / 'index.html'}")
    say_failures(list(comparison.failures.items()), str(out / "report.json"))
    raise typer.Exit(1 if comparison.failures else 0)
