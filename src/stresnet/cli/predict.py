"""`stresnet predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.options import Model, Threads
from stresnet.cli.program import say
from stresnet.errors import VideoError

if TYPE_CHECKING:
    from stresnet.prediction import Prediction


def predict(
    model: Model,
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
    top_k: Annotated[int, typer.Option(min=1, help="Classes to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    threads: Threads = 2,
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
