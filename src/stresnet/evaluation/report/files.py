"""A comparison as a folder to read, to compute with, and to hand on.

report.json      every number
report.md        the table, as text
index.html       the page: one file that needs nothing else
scores/*.npz     the scores of each network, protocol and fold (see `compare`)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.report.page import render
from stresnet.evaluation.report.summary import method_in_words, per_cent, row_label, summarise
from stresnet.files import atomic_write


def write_report(comparison: Comparison, folder: Path) -> dict[str, Any]:
    """Write `report.json`, `report.md` and `index.html`; return the numbers.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    said = summarise(comparison)
    _write(folder / "report.json", json.dumps(said, indent=1, allow_nan=False) + "\n")
    _write(folder / "report.md", markdown(said))
    _write(folder / "index.html", render(said, comparison))
    return said


def markdown(said: dict[str, Any]) -> str:
    """The table and how it was measured."""
    header, *lines = table_cells(said)
    parts = [
        f"# {said['main']['model']} on {said['data']}\n",
        *(f"**Warning:** {warning}.\n" for warning in said["warnings"]),
        _markdown_row(header),
        _markdown_row(["---"] * len(header)),
        *map(_markdown_row, lines),
        "",
    ]
    if said["paper_table_4"]:
        parts += [f"The paper's Table 4, {said['benchmark']}:\n", "| method | % |", "| --- | --- |"]
        parts += [f"| {name} | {value:.1f} |" for name, value in said["paper_table_4"].items()]
        parts += [""]
    parts += [f"{paragraph}\n" for paragraph in method_in_words(said)]
    if said["failures"]:
        parts += [f"{len(said['failures'])} videos could not be scored:\n"]
        parts += [f"- `{name}`: {reason}" for name, reason in said["failures"].items()]
    return "\n".join(parts).rstrip() + "\n"


def console_table(said: dict[str, Any]) -> Table:
    """The table, for a terminal."""
    header, *lines = table_cells(said)
    table = Table(*header, title=f"{said['videos']} videos of {said['data']}")
    for line in lines:
        table.add_row(*line)
    return table


def table_cells(said: dict[str, Any]) -> list[list[str]]:
    """Header and rows; columns that say nothing here are left out."""
    lines = said["table"]
    columns: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("network", row_label),
        ("model", lambda line: str(line["model"])),
        ("top-1 %", lambda line: per_cent(line["top1"])),
        ("top-5 %", lambda line: per_cent(line["top5"])),
        ("mean of classes %", lambda line: per_cent(line["mean_class"])),
        ("s a video", lambda line: _number(line["seconds_per_video"], ".2g")),
        ("paper %", lambda line: _number(line["paper"], ".2f")),
    ]
    silent = set()
    if len({line["model"] for line in lines}) == 1:
        silent.add("model")
    if lines[0]["top5"] is None:
        silent.add("top-5 %")
    if said["benchmark"] is None:
        silent.add("paper %")
    shown = [(name, cell) for name, cell in columns if name not in silent]
    return [[name for name, _ in shown], *([cell(line) for _, cell in shown] for line in lines)]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _write(path: Path, text: str) -> None:
    # File names need not be UTF-8; what is left of such bytes cannot be written.
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
