"""`stresnet reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from stresnet.cli.app import say, say_failures
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

if TYPE_CHECKING:
    from stresnet.reproduction.run import ReproductionEstimate


def reproduce(
    benchmark: Annotated[str, typer.Argument(metavar="ucf101|hmdb51", help="The data set.")],
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder of CLASS/video.avi.")],
    lists: Lists = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all that is made; default: runs/ and the data set's name."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="paper or released-code; any of `train`.")] = "paper",
    splits: Annotated[str, typer.Option(help="Some of 1,2,3.")] = "1,2,3",
    weights: Weights = None,
    motion_weights: Annotated[
        str | None,
        typer.Option(
            help="For hmdb51: the --out of a finished UCF101 reproduction, or a two-stream model "
            "folder, which the motion stream starts from.",
            show_default=False,
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
    from stresnet.reproduction import Job, estimate_reproduction, reproduce
    from stresnet.reproduction.tables import markdown
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
        say_estimate(estimate_reproduction(job), job.store_folder)
        return
    found = reproduce(job)
    Console().print(Markdown(markdown(found, job.name)))
    say(f"look at {job.out / 'report' / 'index.html'}; the tables as text: {job.out / 'tables.md'}")
    say_failures(list(found["failures"].items()), str(job.out / "report" / "report.json"))
    raise typer.Exit(1 if found["failures"] else 0)


def say_estimate(estimate: ReproductionEstimate, store: Path) -> None:
    """Print an estimate for a person; the phases of a split were logged already."""
    say("prepare:")
    say_preparation(estimate.preparation, store)
    steps = estimate.splits * sum(phase.phase.iterations for phase in estimate.phases)
    took = duration(3600 * estimate.training_hours)
    say(f"train, each of {estimate.splits} splits as above: {steps:,} iterations in all, {took}")
    say(f"evaluate: {duration(3600 * estimate.scoring_hours)}")
    say(f"in all {duration(3600 * estimate.hours)} on this machine, each part tried for a moment")
