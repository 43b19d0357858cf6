"""Predictions and timelines on stdout: as tables, or for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import logger, say
from stresnet.errors import VideoError, printable

if TYPE_CHECKING:
    from stresnet.prediction.result import ClassScore, Prediction, Timeline
    from stresnet.prediction.segments import Segment


Form = Literal["table", "json", "jsonl", "csv"]


class Answers:
    """Prints each answer as it comes, except for the one array of "json", which `close` prints.

    Attributes:
        failures: videos that could not be recognised.
    """

    def __init__(self, form: Form, top_k: int) -> None:
        self.form, self.top_k, self.failures = form, top_k, 0
        self._given: list[Prediction | Timeline] = []

    def add(self, answer: Prediction | Timeline) -> None:
        """Print an answer, and the warnings that came with it."""
        from stresnet.prediction.outputs import to_csv

        for warning in answer.warnings:
            logger.warning(f"{printable(answer.source)}: {warning}")
        if self.form == "table":
            # On a line of its own: as the table's title a path would be broken at its width.
            ran = f"({answer.device}, {answer.precision})"
            console = Console(highlight=False, soft_wrap=True)
            console.print(f"[bold]{escape(printable(answer.source))}[/]   {ran}")
            console.print(table(answer))
        elif self.form == "jsonl":
            typer.echo(json.dumps(answer.as_dict(top_k=self.top_k)))
        elif self.form == "csv":
            typer.echo(to_csv([answer], top_k=self.top_k, header=not self._given), nl=False)
        self._given.append(answer)

    def failed(self, error: VideoError) -> None:
        """Say which video could not be recognised, and why."""
        say(f"failed: {error}", always=True)
        self.failures += 1

    def close(self) -> None:
        """Print the array of "json", also when something ends the command early."""
        if self.form == "json" and (self._given or self.failures):
            array = [answer.as_dict(top_k=self.top_k) for answer in self._given]
            typer.echo(json.dumps(array, indent=1))


def table(found: Prediction | Timeline) -> Table:
    """Show ranked classes or segments in order, with the scores of both streams and of each."""
    from stresnet.prediction.result import Timeline

    rows: Sequence[tuple[tuple[str, ...], ClassScore | Segment]]
    if isinstance(found, Timeline):
        columns = ["from", "to", "class"]
        caption = f"whole video: {found.label} {found.score:.3f}"
        rows = [((clock(s.start), clock(s.end), escape(s.label)), s) for s in found.segments]
    else:
        columns, caption = ["class"], None
        rows = [((escape(entry.label),), entry) for entry in found.predictions]
    drawn = Table(*columns, "score", "appearance", "motion", caption=caption and escape(caption))
    for cells, entry in rows:
        scores = (f"{s:.3f}" for s in (entry.score, entry.appearance, entry.motion))
        drawn.add_row(*cells, *scores)
    return drawn


def clock(seconds: float) -> str:
    """Format seconds as h:mm:ss.s."""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
