"""`stresnet idt ...`: improved dense trajectories, the partner of ST-ResNet* in Table 4."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stresnet.cli.app import say, say_each
from stresnet.cli.options import Data, Fold, Lists, Ray, Seed, Videos, Workers, words
from stresnet.cli.progress import progress


def extract(
    videos: Videos,
    out: Annotated[Path, typer.Option(help="Folder for the trajectories.")] = Path("idt/features"),
    short_side: Annotated[
        int, typer.Option(min=32, help="Short side of the frames, in pixels.")
    ] = 240,
    workers: Workers = None,
    ray: Ray = None,
) -> None:
    """Follow points through videos and describe them. Rerun to resume."""
    from stresnet.cli.prepare import say_report
    from stresnet.cluster import cluster
    from stresnet.data.splits.inputs import videos_of
    from stresnet.idt.extract import extract

    with cluster(ray, out) as engine, progress("extract") as on_progress:
        report = extract(
            videos_of(videos),
            out,
            short_side=short_side,
            workers=workers,
            engine=engine,
            on_progress=on_progress,
        )
    say_report(report, "extracted", out)
    raise typer.Exit(1 if report.failures else 0)


def evaluate(
    features: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES",
            help="Folder of trajectories, from `stresnet idt extract` or the authors' program.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for codebook, vectors and scores.npz.")] = Path(
        "idt/encoded"
    ),
    fold: Fold = None,
    lists: Lists = None,
    seed: Seed = 0,
    descriptors: Annotated[
        str, typer.Option(help="Descriptors to use, some of trajectory,hog,hof,mbh.")
    ] = "hog,hof,mbh",
    gaussians: Annotated[int, typer.Option(min=1, help="Gaussians in each mixture.")] = 256,
    samples: Annotated[
        int, typer.Option(min=1, help="Number of trajectories that the mixtures are learnt from.")
    ] = 256_000,
) -> None:
    """Learn Fisher vectors and linear machines; score the test videos. Rerun to resume."""
    from stresnet.cli.evaluate import accuracy_table
    from stresnet.data.splits.open import open_dataset
    from stresnet.evaluation.score_files import ScoreTable, write_scores
    from stresnet.idt.encoding import encode, train_and_test

    split = open_dataset(data, fold=fold, lists=lists, seed=seed)
    with progress("encode") as on_progress:
        failures = encode(
            features,
            split,
            out,
            kinds=words(descriptors),
            gaussians=gaussians,
            samples=samples,
            seed=seed,
            on_progress=on_progress,
        )
    training, tested = (
        [video for video in videos if video.name not in failures]
        for videos in (split.train, split.test)
    )
    class_names, scores, truth = train_and_test(out, training, tested)
    names = tuple(video.name for video in tested)
    table = ScoreTable(str(out), names, scores, class_names, truth)
    write_scores(table, out / "scores.npz")
    Console().print(accuracy_table([table], truth))
    say(f"{len(names)} videos: {out / 'scores.npz'}")
    say_each("failed", list(failures.items()), f"all are in {out / 'failures.csv'}")
    raise typer.Exit(1 if failures else 0)


IDT_VERBS = (extract, evaluate)
