"""What the paper reports on UCF101 and HMDB51: mean accuracy over the three splits, in per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

BenchmarkName = Literal["UCF101", "HMDB51"]
BENCHMARKS: tuple[BenchmarkName, ...] = ("UCF101", "HMDB51")
# The number of classes, and a few that no other data set has together.
_SIGNS: Mapping[BenchmarkName, tuple[int, frozenset[str]]] = {
    "UCF101": (101, frozenset({"applyeyemakeup", "handstandpushups", "yoyo"})),
    "HMDB51": (51, frozenset({"brush_hair", "shoot_bow", "wave"})),
}

# Our row -> the paper's column of Table 3, (UCF101, HMDB51).
TABLE_3: Mapping[str, tuple[float, float]] = {
    "two-stream appearance": (82.29, 43.42),
    "two-stream motion": (79.05, 55.47),
    "two-stream fused": (89.47, 60.59),
    "ST-ResNet fused": (92.76, 65.57),
    "ST-ResNet* fused": (93.46, 66.41),
}

# Table 4: rows that ours compare with.
TABLE_4: Mapping[str, tuple[float, float]] = {
    "improved dense trajectories (IDT)": (86.4, 61.7),
    "two-stream fusion": (92.5, 65.4),
    "two-stream fusion + IDT": (93.5, 69.2),
    "ST-ResNet*": (93.4, 66.4),
    "ST-ResNet* + IDT": (94.6, 70.3),
}


def benchmark_of(class_names: Sequence[str]) -> BenchmarkName | None:
    """Which of the two data sets has these classes, upper or lower case; None: neither."""
    names = {name.casefold() for name in class_names}
    for benchmark, (classes, signs) in _SIGNS.items():
        if len(names) == classes and signs <= names:
            return benchmark
    return None


def table_3(benchmark: BenchmarkName | None, network: str, row: str) -> float | None:
    """The paper's accuracy, in per cent, for a row of ours; None if it has no such row."""
    values = TABLE_3.get(f"{network} {row}")
    return None if benchmark is None or values is None else values[BENCHMARKS.index(benchmark)]


def table_4(benchmark: BenchmarkName | None) -> dict[str, float]:
    """Table 4's accuracies, in per cent, on this data set; empty for any other."""
    if benchmark is None:
        return {}
    return {name: values[BENCHMARKS.index(benchmark)] for name, values in TABLE_4.items()}
