"""`stresnet reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from stresnet.cli.app import say, say_each
from stresnet.cli.options import (
    Device,
    DryRun,
    Lists,
    Loaders,
    Precision,
    Seed,
    SkipBroken,
    Store,
    Weights,
    numbers,
)
from stresnet.cli.prepare import duration, say_preparation


def reproduce(
    benchmark: Annotated[str, typer.Argument(metavar="ucf101|hmdb51", help="The data set.")],
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the data set: CLASS/video.avi.")
    ],
    lists: Lists = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all results.", show_default="runs/ and the data set's name"),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="paper, released-code, or any other recipe of `train`.")
    ] = "paper",
    splits: Annotated[str, typer.Option(help="Splits to run, some of 1,2,3.")] = "1,2,3",
    weights: Weights = None,
    motion_weights: Annotated[
        str | None,
        typer.Option(
            help="For hmdb51: weights of the motion stream, as runs/ucf101/split{fold}/two_stream; "
            "{fold} is the split's number.",
            show_default="as --weights",
        ),
    ] = None,
    store: Store = None,
    skip_broken: SkipBroken = False,
    seed: Seed = 0,
    workers: Loaders = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    dry_run: DryRun = False,
) -> None:
    """Reproduce the paper: prepare, train all splits, evaluate, print Tables 3 and 4.

    Rerun with the same options to resume.
    """
    from stresnet.data.store.location import default_store
    from stresnet.reproduction import Job, estimate_reproduction, markdown, reproduce
    from stresnet.training.recipes import recipe_named
    from stresnet.training.runtime import Execution

    job = Job(
        benchmark=benchmark,
        root=root,
        out=out or Path("runs") / benchmark,
        lists=lists,
        recipe=recipe,
        splits=tuple(dict.fromkeys(numbers(splits, int, "--splits"))),
        weights=weights,
        motion_weights=motion_weights,
        store=store,
        skip_broken=skip_broken,
        seed=seed,
        execution=Execution(device, precision, workers),
    )
    if dry_run:
        preparation, phases = estimate_reproduction(job)
        say("prepare:")
        say_preparation(preparation, store or default_store(root, **recipe_named(recipe).preparing))
        hours = preparation.hours + len(job.splits) * sum(phase.hours for phase in phases)
        say(
            f"train: each of {len(job.splits)} splits as above; with preparation "
            f"{duration(3600 * hours)} on this machine, each part tried for a moment"
        )
        return
    found = reproduce(job)
    Console().print(Markdown(markdown(found, job.name)))
    say(f"look at {job.out / 'report' / 'index.html'}; the tables as text: {job.out / 'tables.md'}")
    rest = f"all are in {job.out / 'report' / 'report.json'}"
    say_each("failed", list(found["failures"].items()), rest)
    raise typer.Exit(1 if found["failures"] else 0)
