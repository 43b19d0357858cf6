"""The panel below an annotated video's frames: the class, bars of both streams, the segments."""

from __future__ import annotations

import numpy as np

from stresnet.drawing import APPEARANCE, MOTION, WHITE, Colour, Picture, draw_bar, draw_text
from stresnet.evaluation.metrics import softmax
from stresnet.prediction.result import Timeline

CLASSES_SHOWN = 3
MARGIN, TITLE, ROW, STRIP = 10, 30, 26, 16  # px
GROUND: Colour = (24, 24, 28)
QUIET: Colour = (70, 70, 76)  # where no segment is reported
# Distinguishable with colour blindness (Okabe and Ito), without the two of the streams.
CLASS_COLOURS: tuple[Colour, ...] = (
    (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178),
)  # fmt: skip


class Panel:
    """Draws the state of a timeline at any time.

    Args:
        width: of the panel, px.
    """

    def __init__(self, timeline: Timeline, width: int) -> None:
        self._timeline, self._width = timeline, width
        self._times = timeline.times
        self._streams = softmax(timeline.appearance), softmax(timeline.motion)  # (W,K) each
        order = [timeline.class_names.index(entry.label) for entry in timeline.predictions]
        self._shown = order[:CLASSES_SHOWN]
        self._colours = {
            timeline.class_names[k]: CLASS_COLOURS[place % len(CLASS_COLOURS)]
            for place, k in enumerate(order)
        }
        self._ground = self._empty()

    def at(self, time: float) -> Picture:
        """Draw the panel (h,width,3) at `time`, in seconds."""
        panel = self._ground.copy()
        segment = next((s for s in self._timeline.segments if s.start <= time < s.end), None)
        if segment is not None:
            panel[MARGIN : MARGIN + 20, MARGIN : MARGIN + 6] = self._colours[segment.label]
            draw_text(panel, segment.label, MARGIN + 12, MARGIN - 2, size=18, background=None)
        clock = f"{int(time) // 60}:{time % 60:04.1f}"
        draw_text(panel, clock, self._width - 64, MARGIN, size=14, background=None)
        self._draw_scores(panel, time)
        cursor = self._column(time)
        panel[-MARGIN - STRIP - 3 : -MARGIN + 3, cursor : cursor + 2] = WHITE
        return panel

    def _draw_scores(self, panel: Picture, time: float) -> None:
        window = int(np.abs(self._times - time).argmin())
        left = self._width * 2 // 5
        length = self._width - left - MARGIN - 44
        for row, k in enumerate(self._shown):
            top = MARGIN + TITLE + row * ROW
            score = self._timeline.scores[window, k]
            draw_text(panel, f"{score:.0%}", self._width - 46, top, size=14, background=None)
            for stream, colour in enumerate((APPEARANCE, MOTION)):
                share = float(self._streams[stream][window, k])
                draw_bar(panel, share, left, top + 3 + 8 * stream, length, 6, colour)

    def _empty(self) -> Picture:
        """Draw everything that does not change with time."""
        rows = len(self._shown) * ROW
        height = MARGIN + TITLE + rows + TITLE + STRIP + MARGIN
        panel = np.empty((height + height % 2, self._width, 3), np.uint8)
        panel[:] = GROUND
        left = self._width * 2 // 5
        for row, k in enumerate(self._shown):
            top = MARGIN + TITLE + row * ROW
            label = panel[:, : left - 4]  # a long name ends before the bars
            draw_text(label, self._timeline.class_names[k], MARGIN, top, background=None)
            panel[top + 3 : top + 17, left : left + 1] = QUIET
        under = MARGIN + TITLE + rows
        for place, (name, colour) in enumerate((("appearance", APPEARANCE), ("motion", MOTION))):
            draw_text(
                panel, name, left + 96 * place, under, size=12, colour=colour, background=None
            )
        strip = panel[-MARGIN - STRIP : -MARGIN]
        strip[:, MARGIN:-MARGIN] = QUIET
        for segment in self._timeline.segments:
            columns = slice(self._column(segment.start), self._column(segment.end))
            strip[:, columns] = self._colours[segment.label]
        return panel

    def _column(self, time: float) -> int:
        """Return where a time lies on the strip, px."""
        share = min(time / max(self._timeline.duration, 1e-6), 1.0)
        return MARGIN + round(share * (self._width - 2 * MARGIN))
