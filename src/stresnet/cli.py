"""The command line: a thin caller of the Python functions of the same names.

Exit codes: 0 all done; 1 some items failed (each is named); 2 usage; 3 environment;
130 interrupted.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stresnet.errors import StresnetError, UsageError, VideoError

if TYPE_CHECKING:  # torch takes seconds to import; `--help` shall not wait for it
    from stresnet.model.stream import Depth
    from stresnet.prediction import Prediction

app = typer.Typer(
    name="stresnet",
    help="Recognise human actions in video with Spatiotemporal Residual Networks (ST-ResNet).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)

P = ParamSpec("P")


def main() -> None:
    """Entry point of the `stresnet` command."""
    app()


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Register a verb; its known errors become one clear line and their exit code."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except StresnetError as error:
            notes.print(f"[bold red]error:[/] {escape(str(error))}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            notes.print("stopped; the same command goes on from here")
            raise typer.Exit(getattr(error, "exit_code", 130)) from error

    app.command()(guarded)
    return guarded


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar with ETA on a terminal; elsewhere a plain line every tenth of the way."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
        console=notes,
        disable=not notes.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None, name="")

        def on_progress(finished: int, total: int, name: str) -> None:
            bar.update(task, completed=finished, total=total, name=escape(name))
            if bar.disable and finished * 10 // total > (finished - 1) * 10 // total:
                say(f"{title}: {finished} of {total}")

        yield on_progress


def network_depth(text: str | None) -> Depth | None:
    """`--depth` as `STResNet` takes it.

    Raises:
        UsageError: there is no network of that depth.
    """
    from stresnet.model.stream import UNITS

    known = {str(depth): depth for depth in UNITS}
    if text is None:
        return None
    if text not in known:
        raise UsageError(f"--depth is {text!r}; expected one of {', '.join(known)}")
    return known[text]


def say(line: str) -> None:
    """One plain line for a person, on stderr."""
    notes.print(escape(line))


Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")]
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
    Path | None, typer.Option(help="Folder of prepared videos; filled with what is missing.")
]
Workers = Annotated[int | None, typer.Option(help="Processes; default: one a processor core.")]


@command
def prepare(
    videos: Annotated[Path, typer.Argument(metavar="VIDEOS", help="A video, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the prepared videos.")] = Path("store"),
    workers: Workers = None,
) -> None:
    """Decode videos and compute their TV-L1 flow into a store; again to go on after a stop."""
    from stresnet.data.datasets import find_videos
    from stresnet.data.prepare import prepare as prepare_all

    with progress("prepare") as on_progress:
        report = prepare_all(find_videos(videos), out, workers=workers, on_progress=on_progress)
    say(
        f"{len(report.done)} prepared, {len(report.skipped)} already there, "
        f"{len(report.failures)} failed"
    )
    for name, reason in report.failures:
        say(f"failed: {name}: {reason}")
    raise typer.Exit(1 if report.failures else 0)


@command
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/train"),
    recipe: Annotated[str, typer.Option(help="quick or paper.")] = "quick",
    depth: Annotated[
        str | None, typer.Option(help="26, 50, 101, 152 or tiny; default: the recipe's.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="ImageNet ResNet of that depth to start both streams from "
            "(the tiny one's ship with stresnet)."
        ),
    ] = None,
    fold: Fold = None,
    lists: Lists = None,
    store: Store = None,
    phases: Annotated[
        str, typer.Option(help="Comma-separated; each needs the one before.")
    ] = "motion,appearance,st_resnet,st_resnet_star",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed or 32-true.")] = "auto",
) -> None:
    """Train all phases on a folder of labelled videos; again to go on after a stop."""
    from stresnet.training.run import train as train_all

    model = train_all(
        data,
        out,
        recipe=recipe,
        depth=network_depth(depth),
        weights=weights,
        fold=fold,
        lists=lists,
        store=store,
        phases=phases.split(","),
        seed=seed,
        workers=workers,
        device=device,
        precision=precision,
        say=say,
    )
    say(f"recognise with: stresnet predict {model} VIDEO")


@command
def distil(
    data: Data,
    teacher: Annotated[Path, typer.Option(help="ImageNet ResNet-50 weights.")],
    out: Annotated[Path, typer.Option(help="File for the small network's weights.")],
    iterations: Annotated[int, typer.Option(min=1)] = 1200,
    fold: Fold = None,
    store: Store = None,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed or 32-true.")] = "auto",
) -> None:
    """Make ImageNet weights for the tiny network from a ResNet-50's, on unlabelled frames."""
    from stresnet.training.run import distil as distil_from

    distil_from(
        data,
        teacher,
        out,
        iterations=iterations,
        fold=fold,
        store=store,
        workers=workers,
        precision=precision,
        say=say,
    )


@command
def evaluate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for report.json and scores.npz.")] = Path(
        "runs/evaluate"
    ),
    fold: Fold = None,
    lists: Lists = None,
    store: Store = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Multiply in bfloat16: faster.")] = False,
) -> None:
    """Accuracy on the test videos: each stream and their fusion (25 chunks and mirror images)."""
    from stresnet.evaluation.evaluate import evaluate as evaluate_all

    report = evaluate_all(model, data, fold=fold, lists=lists, store=store, bf16=bf16, say=say)
    report.save(out)
    Console().print(report.table())
    for name, reason in report.failures.items():
        say(f"failed: {name}: {reason}")
    raise typer.Exit(1 if report.failures else 0)


@command
def predict(
    model: Model,
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
    top_k: Annotated[int, typer.Option(min=1, help="Classes to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for the flow.")] = 2,
) -> None:
    """Recognise the action in each video: classes and scores, best first."""
    from stresnet.model import load_model
    from stresnet.prediction import predict as predict_one

    net = load_model(model)
    predictions, failed = [], []
    for video in videos:
        try:
            prediction = predict_one(net, video, top_k=top_k, threads=threads)
        except VideoError as error:
            say(f"failed: {error}")
            failed.append(video)
            continue
        predictions.append(prediction)
        for warning in prediction.warnings:
            say(f"warning: {video}: {warning}")
        if not as_json:
            Console().print(prediction_table(prediction))
    if as_json:
        typer.echo(json.dumps([prediction.as_dict() for prediction in predictions], indent=1))
    raise typer.Exit(1 if failed else 0)


def prediction_table(prediction: Prediction) -> Table:
    """Ranked classes; the score of both streams together and of each alone."""
    table = Table("class", "score", "appearance", "motion", title=escape(prediction.source))
    for entry in prediction.predictions:
        table.add_row(
            escape(entry.label),
            f"{entry.score:.3f}",
            f"{entry.appearance:.3f}",
            f"{entry.motion:.3f}",
        )
    return table


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the page.")] = Path("demo"),
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for the flow.")] = 2,
) -> None:
    """Recognise the real clips that ship with stresnet, and write a page to look at."""
    from stresnet.demo import demo as run_demo

    table = Table("clip", "true", "appearance", "motion", "both", "recognised")
    clips = run_demo(out, threads=threads, on_clip=lambda clip: say(f"{clip.name}: done"))
    for clip in clips:
        of_truth = (clip.of_truth.appearance, clip.of_truth.motion, clip.of_truth.score)
        mark = "[green]yes[/]" if clip.correct else f"[red]no: {clip.prediction.label}[/]"
        table.add_row(clip.name, clip.truth, *(f"{score:.2f}" for score in of_truth), mark)
    table.caption = "appearance, motion, both: the score of the true class"
    Console().print(table)
    correct = sum(clip.correct for clip in clips)
    Console().print(f"{correct} of {len(clips)} recognised; look at {out / 'index.html'}")
