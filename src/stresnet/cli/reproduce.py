"""`stresnet reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stresnet.cli.app import say, say_failures
from stresnet.cli.options import Lists, numbers
from stresnet.cli.prepare import duration, say_forecast

if TYPE_CHECKING:
    from stresnet.reproduction import Job
    from stresnet.reproduction.estimate import Needs


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
    weights: Annotated[
        Path | None,
        typer.Option(help="File of an ImageNet ResNet-50.", show_default=False),
    ] = None,
    motion_weights: Annotated[
        Path | None,
        typer.Option(
            help="For hmdb51: the --out of a finished UCF101 reproduction, or a two-stream model "
            "folder, which the motion stream starts from.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder of prepared videos; default: store in --out.", show_default=False
        ),
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Go on without the videos that cannot be used.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes in training.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="Of training: auto, bf16-mixed, 16-mixed or 32-true.")
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it takes: hours, gigabytes, steps.")
    ] = False,
) -> None:
    """The paper's experiment: prepare, train all splits, evaluate, print Tables 3 and 4.

    Again, with the same options, to go on after a stop at any moment.
    """
    from stresnet.reproduction import Job, forecast
    from stresnet.reproduction import reproduce as do_all
    from stresnet.reproduction.tables import fourth_table, third_table

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
        workers=workers,
        device=device,
        precision=precision,
    )
    if dry_run:
        say_needs(forecast(job, say=say), job)
        return
    said = do_all(job, say=say)
    console = Console()
    console.print(as_table("Table 3: top-1 accuracy, %", third_table(said, job.name)))
    console.print(as_table("Table 4: top-1 accuracy, %", fourth_table(said, job.name)))
    say(f"look at {job.out / 'report' / 'index.html'}; the tables as text: {job.out / 'tables.md'}")
    say_failures(list(said["failures"].items()), str(job.out / "report" / "report.json"))
    raise typer.Exit(1 if said["failures"] else 0)


def as_table(title: str, cells: list[list[str]]) -> Table:
    """Cells, the first row of which is the header, for a terminal."""
    header, *rows = cells
    table = Table(header[0], title=title, title_justify="left")
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def say_needs(needs: Needs, job: Job) -> None:
    """A dry run's result, for a person."""
    say("prepare:")
    say_forecast(needs.preparation, job.store_folder)
    say(f"train, each of {needs.splits} splits:")
    for phase in needs.phases:
        say(str(phase))
    steps = needs.splits * sum(phase.phase.iterations for phase in needs.phases)
    say(f"{steps:,} iterations in all, {duration(3600 * needs.training_hours)}")
    say(f"about {needs.run_bytes / 1e9:.2f} GB of networks and checkpoints in {job.out}")
    say(f"evaluate: {duration(3600 * needs.scoring_hours)}")
    say(f"in all {duration(3600 * needs.hours)} on this machine, each part tried for a moment")
