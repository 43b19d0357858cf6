"""The report's table and method in words, for a terminal, for `report.md` and for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.with_idt import of_table_4


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the table and how it was measured."""
    header, *lines = table_cells(summary)
    parts = [
        f"# {summary['main']['model']} on {summary['data']}\n",
        *(f"**Warning:** {warning}.\n" for warning in summary["warnings"]),
        _markdown_row(header),
        _markdown_row(["---"] * len(header)),
        *map(_markdown_row, lines),
        "",
    ]
    if summary["paper_table_4"]:
        parts += [f"The paper's Table 4, {summary['benchmark']}:\n", "| method | % |"]
        parts += ["| --- | --- |"]
        parts += [f"| {name} | {value:.1f} |" for name, value in summary["paper_table_4"].items()]
        parts += [""]
    parts += [f"{paragraph}\n" for paragraph in method_in_words(summary)]
    if summary["failures"]:
        parts += [f"{len(summary['failures'])} videos could not be scored:\n"]
        parts += [f"- `{name}`: {reason}" for name, reason in summary["failures"].items()]
    return "\n".join(parts).rstrip() + "\n"


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


def method_in_words(summary: Mapping[str, Any]) -> list[str]:
    """Return how the numbers came about, one string for each paragraph."""
    method, folds = summary["method"], summary["folds"]
    protocol = method["protocol"]
    seen = {
        "whole": "whole frames",
        "five": "crops at four corners and the centre",
        "centre": "a crop at the centre",
    }[protocol["crops"]]
    mirrored = " and their mirror images" if protocol["mirrored"] else ""
    several = len(folds) > 1
    means = f" Accuracies are means over the folds {', '.join(map(str, folds))}." if several else ""
    together = ", the videos of all folds together" if several else ""
    return [
        f"Protocol {protocol['name']}: {protocol['chunks']} chunks spread evenly over each video, "
        f"{seen}{mirrored}; unnormalised class scores are averaged over space, time and views, and "
        f"over both streams with equal weight.{means} Computed on {method['device']} in "
        f"{method['precision']}, from the prepared videos in {summary['store']}.",
        f"The range behind an accuracy: {method['interval']}, seed {method['bootstrap_seed']}. "
        "Videos cut from one source are drawn together, because they are not independent; a video "
        f"whose source is unknown is a source of its own. Here {summary['videos']} videos come "
        f"from {summary['sources']} sources. The interval says how far other test videos would "
        "move the accuracy, not how far another training run would.",
        "Per-class accuracy, confusions, hardest videos and calibration are those of "
        f"{summary['main']['model']} with both streams{together}.",
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
