"""The report as one offline HTML page, drawn by assets/report.html.j2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jinja2

from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError
from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.report.pictures import film, strip
from stresnet.evaluation.report.summary import method_in_words, per_cent, row_label

PAIRS_WITH_PICTURES = 5
COUNTS_UP_TO = 12  # classes; in larger matrices a count would not fit its cell

Shown = TypeVar("Shown")


def render(said: dict[str, Any], comparison: Comparison) -> str:
    """The page of a summary; pictures and films come from the store, as far as it has them."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stresnet", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(per_cent=per_cent, row_label=row_label)

    def show(draw: Callable[[StoredVideo], Shown], name: str) -> Shown | None:
        try:
            return draw(StoredVideo(store_path(comparison.store, name)))
        except StoreError:
            return None

    pictured = [pair["example"] for pair in said["confused_pairs"][:PAIRS_WITH_PICTURES]]
    return environment.get_template("report.html.j2").render(
        said=said,
        method=method_in_words(said),
        matrix=matrix(said["rows"]["fused"]["confusion"]),
        counts_up_to=COUNTS_UP_TO,
        classes=class_bars(said),
        curve=said["curve"],
        strips={name: show(strip, name) for name in pictured},
        hardest=[
            {**video, "strip": show(strip, video["name"]), "film": show(film, video["name"])}
            for video in said["hardest"]
        ],
    )


def matrix(counts: list[list[int]]) -> list[dict[str, Any]]:
    """The cells that have videos: row, column, videos, and their share of the row."""
    return [
        {"row": row, "column": column, "videos": videos, "share": videos / sum(line)}
        for row, line in enumerate(counts)
        for column, videos in enumerate(line)
        if videos
    ]


def class_bars(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy of both streams and each in every class that has videos, the worst class first."""
    of_row = {row: numbers["class_accuracies"] for row, numbers in said["rows"].items()}
    bars = [
        {
            "name": name,
            "videos": sum(said["rows"]["fused"]["confusion"][place]),
            **{row: accuracies[place] for row, accuracies in of_row.items()},
        }
        for place, name in enumerate(said["class_names"])
        if of_row["fused"][place] is not None
    ]
    return sorted(bars, key=lambda bar: (bar["fused"], bar["name"]))
