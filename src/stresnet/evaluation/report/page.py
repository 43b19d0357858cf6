"""The report as one offline HTML page, drawn by assets/report.html.j2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError
from stresnet.evaluation.report.pictures import Strip, strip
from stresnet.evaluation.report.text import method_in_words, per_cent, row_label
from stresnet.pages import render_page

PAIRS_WITH_PICTURES = 5
COUNTS_UP_TO = 12  # classes; in larger matrices a count would not fit its cell


def render(summary: Mapping[str, Any], store: Path) -> str:
    """Draw the page of a summary; pictures come from the store, as far as it has them."""
    pictured = [pair["example"] for pair in summary["confused_pairs"][:PAIRS_WITH_PICTURES]]
    pictured += [video["name"] for video in summary["hardest"]]
    return render_page(
        "report",
        summary=summary,
        method=method_in_words(summary),
        matrix=matrix(summary["rows"]["fused"]["confusion"]),
        counts_up_to=COUNTS_UP_TO,
        classes=class_bars(summary),
        strips={name: _strip(store, name) for name in pictured},
        per_cent=per_cent,
        row_label=row_label,
    )


def _strip(store: Path, name: str) -> Strip | None:
    try:
        return strip(StoredVideo(store_path(store, name)))
    except StoreError:
        return None


def matrix(counts: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Return the cells that hold videos: row, column, videos, and their share of the row."""
    return [
        {"row": row, "column": column, "videos": videos, "share": videos / sum(line)}
        for row, line in enumerate(counts)
        for column, videos in enumerate(line)
        if videos
    ]


def class_bars(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each row's accuracy in every class that has videos, the worst class first."""
    of_row = {row: numbers["class_accuracies"] for row, numbers in summary["rows"].items()}
    bars = [
        {
            "name": name,
            "videos": sum(summary["rows"]["fused"]["confusion"][place]),
            **{row: accuracies[place] for row, accuracies in of_row.items()},
        }
        for place, name in enumerate(summary["class_names"])
        if of_row["fused"][place] is not None
    ]
    return sorted(bars, key=lambda bar: (bar["fused"], bar["name"]))
