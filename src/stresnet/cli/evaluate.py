"""`stresnet evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stresnet.cli.app import say, say_failures
from stresnet.cli.options import Data, Device, Fold, Lists, Precision, Store
from stresnet.errors import UsageError


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Model folders, or a run's folder for all its networks; with {fold} in the path "
            "for several folds.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report and the scores.")] = Path(
        "runs/evaluate"
    ),
    fold: Fold = None,
    folds: Annotated[
        str | None, typer.Option(help="Several folds, as in 1,2,3: the report has their mean.")
    ] = None,
    lists: Lists = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of training, where the test videos are drawn.")
    ] = 0,
    store: Store = None,
    protocols: Annotated[
        str, typer.Option(help="Some of paper,released-code,ten-crop,centre-crop; one a row.")
    ] = "paper",
    chunks: Annotated[
        str | None,
        typer.Option(help="Also test the last model with fewer chunks, as in 5,10: a curve."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Fit a temperature on up to 200 training videos; takes time."
        ),
    ] = False,
    with_idt: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES",
            help="Scores of improved dense trajectories, as `stresnet idt evaluate` writes them: "
            "adds Table 4's rows; with {fold} in the path for several folds.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Accuracy on the test videos, each stream and their fusion; again to go on after a stop."""
    from stresnet.evaluation.compare import compare
    from stresnet.evaluation.protocols import protocols_named
    from stresnet.evaluation.report.files import console_table, write_report

    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given", remedy="give one of them")
    comparison = compare(
        models,
        data,
        out,
        folds=whole_numbers(folds, "--folds") if folds else None if fold is None else [fold],
        lists=lists,
        seed=seed,
        store=store,
        protocols=protocols_named(protocols.split(",")),
        chunks=whole_numbers(chunks, "--chunks") if chunks else (),
        calibrated=calibrate,
        with_idt=with_idt,
        precision=precision,
        device=device,
        say=say,
    )
    said = write_report(comparison, out)
    Console().print(console_table(said))
    say(f"look at {out / 'index.html'}")
    say_failures(list(comparison.failures.items()), str(out / "report.json"))
    raise typer.Exit(1 if comparison.failures else 0)


def whole_numbers(text: str, option: str) -> list[int]:
    """`1,2,3` -> [1, 2, 3].

    Raises:
        UsageError: a part is no whole number.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} is {text!r}; expected whole numbers, as in 1,2,3")
    return [int(part) for part in parts]
