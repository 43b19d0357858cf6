"""The paper's Tables 3 and 4, with ours beside them, from a report's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stresnet.evaluation.paper_numbers import BenchmarkName, table_3, table_4
from stresnet.evaluation.protocols import PAPER

Cells = list[list[str]]  # the first row is the header

# Table 3's columns: what it calls them, the network, and the row of ours.
COLUMNS = (
    ("appearance", "two-stream", "appearance"),
    ("motion", "two-stream", "motion"),
    ("two-stream", "two-stream", "fused"),
    ("ST-ResNet", "ST-ResNet", "fused"),
    ("ST-ResNet*", "ST-ResNet*", "fused"),
)


def third_table(numbers: dict[str, Any], benchmark: BenchmarkName) -> Cells:
    """Top-1 accuracies in per cent: the paper's means, ours, and ours split by split."""
    theirs = [table_3(benchmark, network, row) for _, network, row in COLUMNS]
    of_splits = [
        [f"split {split}", *(_ours(numbers, network, row, place) for _, network, row in COLUMNS)]
        for place, split in enumerate(numbers["folds"])
    ]
    return [
        [benchmark, *(name for name, _, _ in COLUMNS)],
        ["paper, mean of 3 splits", *("–" if it is None else f"{it:.2f}" for it in theirs)],
        [_which(numbers["folds"]), *(_ours(numbers, network, row) for _, network, row in COLUMNS)],
        *(of_splits if len(of_splits) > 1 else []),
    ]


def fourth_table(numbers: dict[str, Any], benchmark: BenchmarkName) -> Cells:
    """The paper's comparison with others; ours where we have that row."""
    ours = {"ST-ResNet*": _ours(numbers, "ST-ResNet*", "fused")}
    return [
        [benchmark, "paper", "ours"],
        *(
            [method, f"{theirs:.1f}", ours.get(method, "–")]
            for method, theirs in table_4(benchmark).items()
        ),
    ]


def markdown(numbers: dict[str, Any], benchmark: BenchmarkName) -> str:
    """Both tables as text."""
    parts = [
        "# Table 3: top-1 accuracy, %\n",
        _markdown(third_table(numbers, benchmark)),
        "# Table 4: top-1 accuracy, %\n",
        _markdown(fourth_table(numbers, benchmark)),
        "Intervals, confusions and the hardest videos: report/index.html.",
    ]
    return "\n".join(parts) + "\n"


def _ours(numbers: dict[str, Any], network: str, row: str, place: int | None = None) -> str:
    """The mean over the splits, or the accuracy on the split at `place`; – where not measured."""
    for line in numbers["table"]:
        if (line["network"], line["row"], line["protocol"]) == (network, row, PAPER.name):
            fraction = line["top1"]["value"] if place is None else line["of_folds"][place]
            return f"{100 * fraction:.2f}"
    return "–"


def _which(splits: Sequence[int]) -> str:
    if len(splits) == 1:
        return f"ours, split {splits[0]}"
    return f"ours, mean of splits {', '.join(map(str, splits))}"


def _markdown(cells: Cells) -> str:
    header, *rows = cells
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
