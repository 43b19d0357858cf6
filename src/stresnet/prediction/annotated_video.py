"""A timeline drawn into its video: class, scores of both streams, flow, and a strip of segments.

    ┌───────────────────┬─────┐
    │ frame             │flow │
    │                   └─────┤
    ├─────────────────────────┤
    │ class        appearance │   the best classes at this moment, a bar for each stream
    │              motion     │
    ├─────────────────────────┤
    │ ▒▒▒▓▓▓▓▓▒▒▒|▒▒▒▒▓▓▓▓▓▓▓ │   the segments, and where we are
    └─────────────────────────┘

The flow is only for display: it is computed again at the inset's small size (preset FAST), which
costs little. The sound is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stresnet.data.video.decode import Frame, iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.data.video.folders import require_others
from stresnet.drawing import (
    APPEARANCE,
    MOTION,
    WHITE,
    Colour,
    Picture,
    draw_bar,
    draw_text,
    resized,
)
from stresnet.errors import UsageError
from stresnet.flow import FAST, grey, tv_l1
from stresnet.flow.colour import to_colour
from stresnet.prediction.input_video import MAX_FRAMES
from stresnet.prediction.result import Timeline
from stresnet.progress import OnProgress, Progress, silent

INSET = 0.28  # side of the flow inset, as a share of the frame's
COLOUR_PX = 2.0  # pixels per frame, in the inset, at which a colour is full
CLASSES_SHOWN = 3
MARGIN, TITLE, ROW, STRIP = 10, 30, 26, 16  # px
GROUND: Colour = (24, 24, 28)
QUIET: Colour = (70, 70, 76)  # where no segment is reported
# Distinguishable for colour-blind people (Okabe and Ito), without the two of the streams.
CLASS_COLOURS: tuple[Colour, ...] = (
    (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178),
)  # fmt: skip


def annotate(
    timeline: Timeline,
    video: str | Path,
    out: str | Path,
    *,
    short_side: int = 360,
    on_progress: OnProgress = silent,
) -> None:
    """Write an mp4 (H.264) of a video with its timeline drawn in; it appears whole or not at all.

    Args:
        timeline: of that video.
        video: its file.
        out: ends in .mp4.
        short_side: of the video in the picture, px, even; below it a panel is added.
        on_progress: called every second of video with seconds done and in all; an error that it
            raises ends the work.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: `out` is the video itself or does not end in .mp4, or `short_side` makes no
            sense.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    out = Path(out)
    require_others([out], [Path(video)])
    if not 128 <= short_side <= 2160 or short_side % 2:
        raise UsageError(f"short_side is {short_side} px, expected an even 128 to 2160")
    frames = iter_frames(Path(video), short_side=short_side, max_frames=MAX_FRAMES)
    panel: Panel | None = None
    shown = 0
    with video_writer(out) as writer:
        for frame, inset in _with_inset(frames):
            panel = panel or Panel(timeline, frame.image.shape[1])
            writer.add(_page(frame, inset, panel), frame.time)
            if int(frame.time) > shown:
                shown = int(frame.time)
                done = min(frame.time, timeline.duration)
                on_progress(Progress(done, timeline.duration, out.name))


def _with_inset(frames: Iterator[Frame]) -> Iterator[tuple[Frame, Picture]]:
    """Yield each frame with a small picture of the flow to the next one; the last repeats one."""
    first = next(frames)
    inset = np.full((*_inset_size(first.image), 3), 255, np.uint8)
    last = first
    before = _small(first.image)
    for frame in frames:
        now = _small(frame.image)
        flow = tv_l1(grey(np.stack([before, now])), parameters=FAST, device="cpu")[0]
        inset = to_colour(flow, COLOUR_PX)
        yield last, inset
        last, before = frame, now
    yield last, inset


def _small(image: Picture) -> Picture:
    return resized(image, *_inset_size(image))


def _inset_size(image: Picture) -> tuple[int, int]:
    height, width = image.shape[:2]
    return max(round(INSET * height), 16), max(round(INSET * width), 16)


def _page(frame: Frame, inset: Picture, panel: Panel) -> Picture:
    """Draw a frame, the inset on it and the panel below."""
    image = frame.image.copy()
    height, width = inset.shape[:2]
    image[: height + 2, -width - 2 :] = WHITE
    image[:height, -width:] = inset
    draw_text(image, "flow", image.shape[1] - width, height - 16, size=11)
    return np.concatenate([image, panel.at(frame.time)])


class Panel:
    """Draws the state of a timeline at any time.

    Args:
        width: of the panel, px.
    """

    def __init__(self, timeline: Timeline, width: int) -> None:
        self._timeline, self._width = timeline, width
        self._times = timeline.times
        self._streams = timeline.of_streams
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
