"""A comparison as a folder to read, to compute with, and to hand on.

report.json      every number
index.html       the page, drawn by assets/report.html.j2: one file that needs nothing else
scores/*.npz     the scores of each network, protocol and fold (see `evaluate`)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from stresnet.data.store.index import place_of
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError
from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report.pictures import Strip, strip
from stresnet.evaluation.report.summary import summarise
from stresnet.evaluation.with_idt import of_table_4
from stresnet.files import write_text
from stresnet.pages import render_page

__all__ = ["console_table", "render", "write_report"]

PAIRS_WITH_PICTURES = 5
COUNTS_UP_TO = 12  # classes; in larger matrices a count would not fit its cell


def write_report(comparison: Comparison, folder: str | Path) -> dict[str, Any]:
    """Write `report.json` and `index.html`; return the numbers.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    summary = summarise(comparison)
    numbers = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_text(Path(folder) / "report.json", numbers)
    write_text(Path(folder) / "index.html", render(summary, comparison.store))
    return summary


def render(summary: Mapping[str, Any], store: Path) -> str:
    """Draw the page of a summary; pictures come from the store, as far as it has them."""
    pictured = [pair["example"] for pair in summary["confused_pairs"][:PAIRS_WITH_PICTURES]]
    pictured += [video["name"] for video in summary["hardest"]]
    accuracies, names = summary["rows"]["fused"]["class_accuracies"], summary["class_names"]
    tested = [place for place, accuracy in enumerate(accuracies) if accuracy is not None]
    return render_page(
        "report.html",
        summary=summary,
        table=table_cells(summary),
        counts_up_to=COUNTS_UP_TO,
        worst_first=sorted(tested, key=lambda place: (accuracies[place], names[place])),
        strips={name: _strip(store, name) for name in pictured},
    )


def _strip(store: Path, name: str) -> Strip | None:
    try:
        return strip(StoredVideo(place_of(store, name)))
    except StoreError:
        return None


def console_table(summary: Mapping[str, Any]) -> Table:
    """Return the table for a terminal, whose lines are short."""
    header, *lines = table_cells(summary, wide=False)
    title = f"{summary['videos']} videos of {summary['data']}, {summary['main']['protocol']}"
    table = Table(*header, title=escape(title))
    for line in lines:
        table.add_row(*map(escape, line))
    return table


def table_cells(summary: Mapping[str, Any], *, wide: bool = True) -> list[list[str]]:
    """Return header and rows, without the columns that would be empty or tell nothing new.

    Args:
        wide: whether there is room for top-5 and for the accuracies within the classes.
    """
    lines = summary["table"]
    any_top5 = any(line["top5"] for line in lines)
    any_gain = any(line["gain"] for line in lines)
    models = {line["model"]: line["network"] for line in lines}
    several = len({line["protocol"] for line in lines}) > 1
    columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]] = [
        ("network", lambda line: row_label(line, protocol=several), True),
        ("model", lambda line: str(line["model"]), len({*models.values()}) < len(models)),
        ("top-1 %", lambda line: per_cent(line["top1"]), True),
        (f"over {lines[0]['model']}", lambda line: signed(line["gain"]), any_gain),
        ("top-5 %", lambda line: per_cent(line["top5"]), wide and any_top5),
        ("mean of classes %", lambda line: per_cent(line["mean_class"]), wide),
        ("s per video", lambda line: _number(line["seconds_per_video"], ".2g"), True),
        ("paper %", lambda line: _number(line["paper"], ".2f"), summary["benchmark"] is not None),
    ]
    shown = [(name, cell) for name, cell, useful in columns if useful]
    return [[name for name, _ in shown], *([cell(line) for _, cell in shown] for line in lines)]


def row_label(line: Mapping[str, Any], *, protocol: bool) -> str:
    """Name a line of the table: network, stream, and a protocol that is not the paper's."""
    if of_table_4(line["network"]):
        return str(line["network"])
    stream = {
        "appearance": "appearance",
        "motion": "motion",
        "fused": "late fusion" if line["network"] == "two-stream" else "both streams",
    }[line["row"]]
    other = f", {line['protocol']}" if protocol and line["protocol"] != PAPER.name else ""
    return f"{line['network']}, {stream}{other}"


def per_cent(estimated: Mapping[str, float] | None) -> str:
    """Return `81.6 (70.1–91.0)`, or an en dash for None."""
    if estimated is None:
        return "–"
    value, low, high = (100 * estimated[key] for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"


def signed(gain: Mapping[str, float] | None) -> str:
    """Return `+2.8 (0.7 to 5.1)`, percentage points; nothing for None."""
    if gain is None:
        return ""
    value, low, high = (round(100 * gain[key], 1) + 0.0 for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:.1f} to {high:.1f})"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
