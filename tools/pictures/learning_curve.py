"""Draw how a run learned: accuracy on its own batches, phase after phase, from its log.csv.

python tools/pictures/learning_curve.py runs/mine      # docs/pictures/learning-curve.svg
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from diagrams import APPEARANCE, INK, MOTION, QUIET, Drawing

LEFT, TOP, WIDTH, HEIGHT = 46, 34, 780, 180  # of the plot, px
MEAN_OF = 25  # iterations
LINES = {
    "appearance_accuracy": APPEARANCE,
    "motion_accuracy": MOTION,
    "fused_accuracy": INK,
}


def main(run: Path) -> None:
    """Draw the three lines, and a border between phases."""
    with (run / "log.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    phases = list(dict.fromkeys(row["phase"] for row in rows))
    drawing = Drawing(LEFT + WIDTH + 14, TOP + HEIGHT + 44)
    for percent in range(0, 101, 25):
        y = TOP + HEIGHT * (1 - percent / 100)
        drawing.line((LEFT, y), (LEFT + WIDTH, y), colour="#ddd", tip=False)
        drawing.words(LEFT - 6, y + 4, f"{percent} %", anchor="end", size=11)
    for phase in phases:
        places = [number for number, row in enumerate(rows) if row["phase"] == phase]
        first, last = (LEFT + WIDTH * place / len(rows) for place in (places[0], places[-1]))
        drawing.line((last, TOP), (last, TOP + HEIGHT), colour="#bbb", tip=False)
        drawing.words((first + last) / 2, TOP - 10, phase, size=11)
        for column, colour in LINES.items():
            values = [rows[place][column] for place in places]
            if all(values):
                curve = smoothed(np.array(values, float))
                points = (
                    (LEFT + WIDTH * (places[0] + n) / len(rows), TOP + HEIGHT * (1 - value))
                    for n, value in enumerate(curve)
                )
                drawing.line(*points, colour=colour, tip=False)
    for number, (column, colour) in enumerate(LINES.items()):
        x = LEFT + 10 + 130 * number
        drawing.line((x, TOP + HEIGHT + 26), (x + 24, TOP + HEIGHT + 26), colour=colour, tip=False)
        drawing.words(x + 30, TOP + HEIGHT + 30, column.split("_")[0], anchor="start", size=11)
    ends = f"{len(rows)} iterations; accuracy on the batches, mean of {MEAN_OF}"
    drawing.words(LEFT + WIDTH, TOP + HEIGHT + 30, ends, fill=QUIET, anchor="end", size=11)
    drawing.save("learning-curve.svg")


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return the mean of the last `MEAN_OF` values at each place; of fewer at the start."""
    sums = np.cumsum(values)
    sums[MEAN_OF:] -= sums[:-MEAN_OF].copy()
    return sums / np.minimum(np.arange(len(values)) + 1, MEAN_OF)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
