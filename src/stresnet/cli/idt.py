"""`stresnet idt ...`: improved dense trajectories, the partner of ST-ResNet* in Table 4."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stresnet.cli.app import say, say_failures
from stresnet.cli.options import Data, Fold, Lists, Seed, Videos, Workers
from stresnet.cli.progress import progress

Encoded = Annotated[
    Path, typer.Argument(metavar="ENCODED", help="Folder that `stresnet idt encode` wrote.")
]


def extract(
    videos: Videos,
    out: Annotated[Path, typer.Option(help="Folder for the trajectories.")] = Path("idt/features"),
    boxes: Annotated[
        Path | None,
        typer.Option(help="Folder of boxes around people, NAME.txt each: see docs/idt.md."),
    ] = None,
    short_side: Annotated[int, typer.Option(min=32, help="Of the frames, px.")] = 240,
    workers: Workers = None,
) -> None:
    """Follow points through videos and describe them. Rerun to resume."""
    from stresnet.cli.prepare import say_report
    from stresnet.data.video.inputs import find_videos
    from stresnet.idt.extract import extract

    with progress("extract") as on_progress:
        report = extract(
            find_videos(videos),
            out,
            boxes=boxes,
            short_side=short_side,
            workers=workers,
            on_progress=on_progress,
        )
    say_report(report, "extracted", out)
    raise typer.Exit(1 if report.failures else 0)


def encode(
    features: Annotated[
        Path,
        typer.Argument(
            metavar="FEATURES",
            help="Folder of trajectories, of `stresnet idt extract` or the authors' program.",
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the vectors.")] = Path("idt/encoded"),
    fold: Fold = None,
    lists: Lists = None,
    seed: Seed = 0,
    descriptors: Annotated[
        str, typer.Option(help="Some of trajectory,hog,hof,mbh.")
    ] = "hog,hof,mbh",
    gaussians: Annotated[int, typer.Option(min=1, help="Of each mixture.")] = 256,
    samples: Annotated[
        int, typer.Option(min=1, help="Trajectories that the mixtures are learnt from.")
    ] = 256_000,
) -> None:
    """Learn a codebook from the training videos, and encode every video as a Fisher vector."""
    from stresnet.data.splits.open import open_dataset
    from stresnet.idt.encoding import encode

    split = open_dataset(data, fold=fold, lists=lists, seed=seed)
    with progress("encode") as on_progress:
        failures = encode(
            features,
            split,
            out,
            kinds=descriptors.split(","),
            gaussians=gaussians,
            samples=samples,
            seed=seed,
            on_progress=on_progress,
        )
    say_failures(failures, str(out / "failures.csv"))
    say(f"train with: stresnet idt train {out}")
    raise typer.Exit(1 if failures else 0)


def train(encoded: Encoded) -> None:
    """Train linear support vector machines on the training videos' vectors."""
    from stresnet.idt.classifier import CLASSIFIER, train

    classifier = train(encoded)
    say(f"{len(classifier.class_names)} classes: {encoded / CLASSIFIER}")
    say(f"test with: stresnet idt evaluate {encoded}")


def evaluate(
    encoded: Encoded,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the scores, .npz or .csv; default: ENCODED/scores.npz."),
    ] = None,
) -> None:
    """Score the test videos, for `stresnet evaluate --with-idt` and `stresnet fuse`."""
    import numpy as np

    from stresnet.cli.evaluate import accuracy_table
    from stresnet.evaluation.score_files import ScoreTable, write_scores
    from stresnet.idt.classifier import score_tested

    classifier, videos, scores = score_tested(encoded)
    table = ScoreTable(
        str(encoded),
        tuple(video.name for video in videos),
        scores.astype("float64"),
        classifier.class_names,
        np.array([classifier.class_names.index(video.label) for video in videos]),
    )
    place = out or encoded / "scores.npz"
    write_scores(table, place)
    if table.truth is not None:
        Console().print(accuracy_table([table], table.truth))
    say(f"{len(table.names)} videos: {place}")


IDT_VERBS = (extract, encode, train, evaluate)
