"""`stresnet evaluate` and `fuse`: how good networks are, alone and together with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say, say_each
from stresnet.cli.options import (
    Cache,
    Data,
    Device,
    Fold,
    Lists,
    Overlap,
    Precision,
    Ray,
    Seed,
    Store,
    Workers,
    local_store,
    numbers,
    words,
)
from stresnet.cli.progress import progress
from stresnet.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stresnet.evaluation.score_files import ScoreTable


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Models, or a run's folder for all its networks; for several folds, with "
            "{fold} in the path.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report and the scores.")] = Path(
        "runs/evaluate"
    ),
    fold: Fold = None,
    folds: Annotated[
        str | None, typer.Option(help="Several folds, as in 1,2,3; the report shows their mean.")
    ] = None,
    lists: Lists = None,
    seed: Seed = 0,
    store: Store = None,
    cache: Cache = None,
    protocols: Annotated[
        str | None,
        typer.Option(
            help="One or more of paper,released-code,ten-crop,centre-crop,quick.",
            show_default="paper; quick for recordings",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Calibrate the scores: fit a temperature on up to 200 training videos.",
        ),
    ] = False,
    with_idt: Annotated[
        str | None,
        typer.Option(
            metavar="SCORES",
            help="Add Table 4's rows with IDT, from the scores that `stresnet idt evaluate` wrote; "
            "for several folds, with {fold} in the path.",
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="For annotated recordings: the class whose segments are not reported.",
            show_default="the model's own",
        ),
    ] = None,
    overlap: Overlap = None,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Workers = None,
    ray: Ray = None,
) -> None:
    """Evaluate models on the test videos, per stream and fused. Rerun to resume.

    Annotated recordings are evaluated as timelines, with one model, one fold
    and one protocol; a rerun then starts from the beginning.
    """
    from stresnet.cluster import cluster
    from stresnet.data.splits.open import holds_recordings
    from stresnet.evaluation.evaluate import evaluate
    from stresnet.evaluation.report import console_table, write_report
    from stresnet.files import require_writable
    from stresnet.timelines.evaluate import evaluate_timelines
    from stresnet.timelines.report import timeline_table, write_timeline_report

    store = local_store(store, cache)
    if fold is not None and folds is not None:
        raise UsageError("--fold and --folds are both given", remedy="give one of them")
    if holds_recordings(data):
        if len(models) > 1 or folds or lists or calibrate or with_idt or ray:
            raise UsageError(
                f"{data}: annotated recordings are judged as timelines, of one model and one fold",
                remedy="leave --folds, --lists, --calibrate, --with-idt and --ray out",
            )
        require_writable(out)
        with progress("evaluate") as on_progress:
            evaluation = evaluate_timelines(
                models[0],
                data,
                fold=fold,
                seed=seed,
                background=background,
                overlap=overlap,
                store=store,
                protocol=protocols or "quick",
                device=device,
                precision=precision,
                workers=workers,
                on_progress=on_progress,
            )
        Console().print(timeline_table(write_timeline_report(evaluation, out)))
        say(f"look at {out / 'index.html'}")
        say_each("failed", list(evaluation.failures.items()), f"all are in {out / 'report.json'}")
        raise typer.Exit(1 if evaluation.failures else 0)
    for name, value in (("--background", background), ("--overlap", overlap)):
        if value is not None:
            raise UsageError(
                f"{name} is for annotated recordings, and {data} holds clips",
                remedy="leave it out",
            )
    with cluster(ray, out) as engine, progress("evaluate") as on_progress:
        comparison = evaluate(
            models,
            data,
            out=out,
            fold=numbers(folds, int, "--folds") if folds else fold,
            lists=lists,
            seed=seed,
            store=store,
            protocols=words(protocols or "paper"),
            calibrated=calibrate,
            with_idt=with_idt,
            device=device,
            precision=precision,
            workers=workers,
            engine=engine if ray else None,
            on_progress=on_progress,
        )
    Console().print(console_table(write_report(comparison, out)))
    say(f"look at {out / 'index.html'}")
    say_each("failed", list(comparison.failures.items()), f"all are in {out / 'report.json'}")
    raise typer.Exit(1 if comparison.failures else 0)


def fuse(
    scores: Annotated[
        list[str],
        typer.Argument(
            metavar="SCORES",
            help="Score files of the same videos: .npz or .csv; FILE.npz#motion takes one stream.",
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(help="A weight for each file, as in 1,1.5.", show_default="equal weights"),
    ] = None,
    normalise: Annotated[
        str,
        typer.Option(
            help="How to normalise the scores: raw, softmax or l2 (as the paper does with IDT); "
            "one for all files, or one for each."
        ),
    ] = "raw",
    out: Annotated[
        Path | None, typer.Option(help="File for the fused scores: .npz or .csv.")
    ] = None,
) -> None:
    """Fuse the scores of several programs, ours or others', by a weighted mean."""
    from stresnet.data.video.folders import require_others
    from stresnet.evaluation.fusion import fuse
    from stresnet.evaluation.score_files import read_scores, write_scores

    if out is not None:
        require_others([out], [Path(place.partition("#")[0]) for place in scores])
    tables = [read_scores(place) for place in scores]
    kinds = words(normalise)
    fused = fuse(
        tables,
        weights=None if weights is None else numbers(weights, float, "--weights"),
        normalise=kinds[0] if len(kinds) == 1 else kinds,  # type: ignore[arg-type]
    )
    if out is not None:
        write_scores(fused, out)
        say(f"{len(fused.names)} videos: {out}")
    if fused.truth is None:
        if out is None:
            say("nothing to show: no file holds the true classes, and --out was not given")
        return
    Console().print(accuracy_table([*tables, replace(fused, origin="fused")], fused.truth))


def accuracy_table(tables: Sequence[ScoreTable], truth: NDArray[np.int64]) -> Table:
    """Return the accuracies of several score files on the same videos."""
    from stresnet.evaluation.metrics import mean_class_accuracy, top_k_accuracy

    shown = Table(title=f"{len(truth)} videos")
    shown.add_column("", overflow="fold")
    shown.add_column("accuracy", no_wrap=True)
    shown.add_column("mean of classes")
    for table in tables:
        values = (f(table.scores, truth) for f in (top_k_accuracy, mean_class_accuracy))
        shown.add_row(escape(table.origin), *(f"{100 * value:.1f} %" for value in values))
    return shown
