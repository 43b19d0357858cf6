"""Draw what joining two streams does to them, from the table of benchmarks/mechanism.py.

python tools/pictures/mechanism.py OUT/table.json      # docs/pictures/mechanism.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from diagrams import APPEARANCE, INK, MOTION, QUIET, Drawing

LEFT, TOP, HEIGHT, BAR, GAP = 46, 20, 180, 22, 30  # px
COLOURS = {"appearance": APPEARANCE, "motion": MOTION, "fused": "#bbb"}


def main(table: Path) -> None:
    """Draw three bars for each row."""
    rows = json.loads(table.read_text(encoding="utf-8"))
    step = len(COLOURS) * BAR + GAP
    width = LEFT + step * len(rows)
    drawing = Drawing(width + 10, TOP + HEIGHT + 84)
    for percent in range(0, 101, 25):
        y = TOP + HEIGHT * (1 - percent / 100)
        drawing.line((LEFT, y), (width, y), colour="#ddd", tip=False)
        drawing.words(LEFT - 6, y + 4, f"{percent} %", anchor="end", size=11)
    for number, row in enumerate(rows):
        left = LEFT + GAP / 2 + number * step
        for place, (name, colour) in enumerate(COLOURS.items()):
            tall = HEIGHT * row[name] / 100
            drawing.box(left + place * BAR, TOP + HEIGHT - tall, BAR, tall, colour)
            x, y = left + (place + 0.5) * BAR, TOP + HEIGHT - tall - 4
            drawing.words(x, y, f"{row[name]:.0f}", size=10)
        middle = left + len(COLOURS) * BAR / 2
        for line, text in enumerate(row["start"].split(", ")):
            drawing.words(middle, TOP + HEIGHT + 16 + 14 * line, text, size=11)
        after = f"after {row['iterations']} iterations" if row["iterations"] else "at the start"
        drawing.words(middle, TOP + HEIGHT + 46, after, fill=QUIET, size=11)
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + 10 + 130 * number
        drawing.box(x, TOP + HEIGHT + 62, 16, 12, colour)
        drawing.words(x + 22, TOP + HEIGHT + 72, name, fill=INK, anchor="start", size=11)
    drawing.save("mechanism.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
