"""log.csv -> curves.svg: loss and accuracy of each stream, a column of panels a phase.

A dot at a curve's end is the accuracy on the kept-out videos, where they were scored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from stresnet.files import whole_file

COLOURS = {"appearance": "#0072b2", "motion": "#d55e00", "fused": "#009e73"}  # colour-blind safe
MEASURES = ("loss", "accuracy")
VALIDATION = "validation.csv"  # beside log.csv, see validation.py
POINTS = 100  # a curve at most; each is the mean over some iterations
WIDTH, HEIGHT, GAP = 240, 140, 46  # px, of a panel and around it

Rows = list[dict[str, str]]
Curve = list[tuple[float, float]]  # (iteration, value)


def draw_curves(log: Path, picture: Path) -> None:
    """Draw every phase of a run's log; a log without rows gives no picture.

    Raises:
        EnvironmentProblem: the picture cannot be written.
    """
    with log.open(newline="", encoding="utf-8") as file:
        phases = [(name, list(rows)) for name, rows in groupby(csv.DictReader(file), _phase)]
    if not phases:
        return
    kept_out = {row["phase"]: row for row in read_validation(log.with_name(VALIDATION))}
    drawn = [
        element
        for column, (name, rows) in enumerate(phases)
        for line, measure in enumerate(MEASURES)
        for element in panel(name, measure, rows, kept_out.get(name, {}), column, line)
    ]
    width, height = GAP + len(phases) * (WIDTH + GAP), GAP + len(MEASURES) * (HEIGHT + GAP)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">'
        '<title>Learning curves</title><rect width="100%" height="100%" fill="white"/>'
    )
    with whole_file(picture) as partial:
        partial.write_text("\n".join([svg, *drawn, "</svg>\n"]), encoding="utf-8")


def read_validation(path: Path) -> Rows:
    """The rows of validation.csv; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def panel(
    phase: str, measure: str, rows: Rows, kept_out: dict[str, str], column: int, line: int
) -> list[str]:
    """One phase, one measure: a frame, its scale, and a curve with a label a stream."""
    curves = {stream: curve(rows, f"{stream}_{measure}") for stream in COLOURS}
    curves = {stream: points for stream, points in curves.items() if points}
    left, top = GAP + column * (WIDTH + GAP), GAP + line * (HEIGHT + GAP)
    last = max(int(row["step"]) for row in rows) + 1
    highest = 1.0
    if measure == "loss":
        highest = max((y for points in curves.values() for _, y in points), default=1.0) or 1.0
    elements = [
        f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>',
        _text(left, top - 6, f"{phase}: training {measure}"),
        _text(left - 4, top + 8, f"{highest:.3g}", anchor="end"),
        _text(left - 4, top + HEIGHT, "0", anchor="end"),
        _text(left + WIDTH, top + HEIGHT + 14, f"{last} iterations", anchor="end"),
    ]
    for place, (stream, points) in enumerate(curves.items()):
        across = " ".join(
            f"{left + WIDTH * x / last:.1f},{top + HEIGHT * (1 - y / highest):.1f}"
            for x, y in points
        )
        colour = COLOURS[stream]
        elements += [
            f'<polyline points="{across}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
            _text(left + 70 * place, top + HEIGHT + 14, stream, colour=colour),
        ]
        if accuracy := kept_out.get(f"{stream}_{measure}"):
            height = top + HEIGHT * (1 - float(accuracy) / highest)
            elements.append(
                f'<circle cx="{left + WIDTH}" cy="{height:.1f}" r="4" fill="{colour}">'
                f"<title>kept-out videos: {100 * float(accuracy):.1f} %</title></circle>"
            )
    return elements


def curve(rows: Rows, measure: str) -> Curve:
    """At most `POINTS` means over neighbouring iterations; none where the log has no values."""
    values = [(int(row["step"]) + 0.5, float(row[measure])) for row in rows if row.get(measure)]
    size = -(-len(values) // POINTS) or 1
    parts = (values[start : start + size] for start in range(0, len(values), size))
    return [(_mean(x for x, _ in part), _mean(y for _, y in part)) for part in parts]


def _phase(row: dict[str, str]) -> str:
    return row["phase"]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
