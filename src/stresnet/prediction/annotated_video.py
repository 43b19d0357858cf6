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

from stresnet.data.video.container import printable
from stresnet.data.video.decode import Frame, iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.drawing import WHITE, Picture, draw_text, resized
from stresnet.errors import UsageError
from stresnet.flow import FAST, grey, tv_l1
from stresnet.flow.colour import to_colour
from stresnet.prediction.panel import Panel
from stresnet.prediction.recognise import MAX_FRAMES
from stresnet.prediction.result import Timeline
from stresnet.progress import OnProgress, Progress, silent

INSET = 0.28  # side of the flow inset, of the frame's
COLOUR_PX = 2.0  # pixels per frame, in the inset, at which a colour is full


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
    if out.resolve() == Path(video).resolve():
        raise UsageError(f"{printable(out)}: is the video itself", remedy="choose another name")
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
