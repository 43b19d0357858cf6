"""The report's table, for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.with_idt import of_table_4


def console_table(summary: Mapping[str, Any]) -> Table:
    """Return the table for a terminal."""
    header, *lines = table_cells(summary)
    table = Table(*header, title=escape(f"{summary['videos']} videos of {summary['data']}"))
    for line in lines:
        table.add_row(*map(escape, line))
    return table


def table_cells(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return header and rows, without the columns that would be empty or equal throughout."""
    lines = summary["table"]
    columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]] = [
        ("network", row_label, True),
        ("model", lambda line: str(line["model"]), len({line["model"] for line in lines}) > 1),
        ("top-1 %", lambda line: per_cent(line["top1"]), True),
        ("top-5 %", lambda line: per_cent(line["top5"]), lines[0]["top5"] is not None),
        ("mean of classes %", lambda line: per_cent(line["mean_class"]), True),
        ("s per video", lambda line: _number(line["seconds_per_video"], ".2g"), True),
        ("paper %", lambda line: _number(line["paper"], ".2f"), summary["benchmark"] is not None),
    ]
    shown = [(name, cell) for name, cell, useful in columns if useful]
    return [[name for name, _ in shown], *([cell(line) for _, cell in shown] for line in lines)]


def row_label(line: Mapping[str, Any]) -> str:
    """Name a line of the table: network, stream, and the protocol if it is not the paper's."""
    if of_table_4(line["network"]):
        return str(line["network"])
    stream = {
        "appearance": "appearance stream",
        "motion": "motion stream",
        "fused": "late fusion" if line["network"] == "two-stream" else "both streams",
    }[line["row"]]
    protocol = "" if line["protocol"] == PAPER.name else f", {line['protocol']}"
    return f"{line['network']}, {stream}{protocol}"


def per_cent(estimated: Mapping[str, float] | None) -> str:
    """Return `81.6 (70.1–91.0)`, or an en dash for None."""
    if estimated is None:
        return "–"
    value, low, high = (100 * estimated[key] for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
