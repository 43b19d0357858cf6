"""Draw what stresnet sees in clips that ship: no picture shows anything else.

    python tools/pictures/clips.py          # recognised.webp, flow.webp, annotated.webp

Three clips of two seconds are put one after another into a video of six, with a cut between them.
Takes half a minute on two cores.
"""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import stresnet
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.drawing import APPEARANCE, MOTION, WHITE, Colour, Picture, draw_text, resized
from stresnet.evaluation.metrics import softmax
from stresnet.flow import grey, tv_l1
from stresnet.flow.colour import to_colour
from stresnet.prediction.annotated_video import CLASS_COLOURS

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
CLIPS = Path(str(files("stresnet") / "assets" / "clips"))
SHOWN = ("noFight/nofi127.mp4", "fight/fi070.mp4", "noFight/nofi051.mp4")
HEIGHT, WIDTH, FPS = 240, 320, 25
COLOUR_PX = 3.0  # pixels per frame at which a flow picture's colour is full
SETTINGS = stresnet.TimelineSettings(stride=0.25)  # else the defaults
GROUND: Colour = (24, 24, 28)
LINE: Colour = (70, 70, 76)
COLUMNS, THUMB = 6, (156, 208)  # moments of the hero picture; height and width of each, px
GAP, LEFT, PLOT, STRIP = 6, 96, 130, 30  # px


def frames_of(clip: str) -> Picture:
    """(N,H,W,3) of a clip that ships, all of one size."""
    return np.stack([resized(each, HEIGHT, WIDTH) for each in decoded(CLIPS / clip)])


def decoded(video: Path, short_side: int = 256) -> Picture:
    """(N,H,W,3) of a video file."""
    return np.stack([frame.image for frame in iter_frames(video, short_side=short_side)])


def draw_recognised(video: Path, timeline: stresnet.Timeline) -> None:
    """Frames, their flow, what each stream says at each moment, and the segments."""
    frames = decoded(video, HEIGHT)
    height, width = THUMB
    inner = COLUMNS * width + (COLUMNS - 1) * GAP
    page = np.empty((2 * (height + GAP) + PLOT + STRIP + 5 * GAP, LEFT + inner + GAP, 3), np.uint8)
    page[:] = GROUND
    for column in range(COLUMNS):
        at = round((column + 0.5) / COLUMNS * len(frames))
        pair = frames[at : at + 2]
        flow = to_colour(tv_l1(grey(pair)), COLOUR_PX)[0]
        x = LEFT + column * (width + GAP)
        for row, picture in enumerate((pair[0], flow)):
            top = GAP + row * (height + GAP)
            page[top : top + height, x : x + width] = resized(picture, height, width)
    for row, name in enumerate(("frames", "optical flow")):
        draw_text(page, name, GAP, row * (height + GAP) + height // 2, background=None)

    top = 2 * (height + GAP) + 2 * GAP
    page[top : top + PLOT, LEFT : LEFT + inner] = plot(timeline, inner, PLOT)
    draw_text(page, "how sure", GAP, top, background=None)
    draw_text(page, '"fight" is', GAP, top + 18, background=None)
    draw_text(page, "appearance", GAP, top + 48, colour=APPEARANCE, background=None)
    draw_text(page, "motion", GAP, top + 68, colour=MOTION, background=None)
    draw_text(page, "both", GAP, top + 88, background=None)

    top += PLOT + 2 * GAP
    draw_text(page, "segments", GAP, top + 6, background=None)
    colours = {"fight": CLASS_COLOURS[3], "noFight": CLASS_COLOURS[0]}
    for segment in timeline.segments:
        x, end = (LEFT + round(t / timeline.duration * inner) for t in (segment.start, segment.end))
        page[top : top + STRIP, x : end - 2] = colours[segment.label]
        words = f"{segment.label}  {segment.start:.1f} to {segment.end:.1f} s"
        draw_text(page, words, x + 6, top + 6, background=None)
    Image.fromarray(page).save(PICTURES / "recognised.webp", quality=82, method=6)


def plot(timeline: stresnet.Timeline, width: int, height: int) -> Picture:
    """Each stream's probability of a fight over time, and that of both together."""
    scale = 2  # drawn larger, then made smaller: smooth lines
    canvas = Image.new("RGB", (scale * width, scale * height), GROUND)
    pen = ImageDraw.Draw(canvas)
    for share in (0.0, 0.5, 1.0):
        y = scale * (4 + (1 - share) * (height - 8))
        pen.line([(0, y), (scale * width, y)], fill=LINE, width=scale)
    fight = timeline.class_names.index("fight")
    both = timeline.scores[:, fight]
    curves = ((softmax(timeline.appearance)[:, fight], APPEARANCE, 2),
              (softmax(timeline.motion)[:, fight], MOTION, 2), (both, WHITE, 4))  # fmt: skip
    for shares, colour, thickness in curves:
        points = [
            (scale * t / timeline.duration * width, scale * (4 + (1 - p) * (height - 8)))
            for t, p in zip(timeline.times, shares, strict=True)
        ]
        pen.line(points, fill=colour, width=scale * thickness // 2 + 1, joint="curve")
    return resized(np.asarray(canvas), height, width)


def draw_flow() -> None:
    """A frame, its flow, and the wheel that says which colour is which direction."""
    frames = frames_of("fight/fi116.mp4")
    at = 24
    flow = to_colour(tv_l1(grey(frames[at : at + 2])), COLOUR_PX)[0]
    y, x = np.mgrid[-1:1:240j, -1:1:240j].astype(np.float32)  # type: ignore[misc]
    wheel = to_colour(np.stack([x, y]), 1.0)
    wheel[np.hypot(x, y) > 1] = 255
    gap = np.full((HEIGHT, 8, 3), 255, np.uint8)
    row = np.concatenate([frames[at], gap, flow, gap, wheel], axis=1)
    Image.fromarray(row).save(PICTURES / "flow.webp", quality=82, method=6)


def draw_annotated(video: Path, timeline: stresnet.Timeline, scratch: Path) -> None:
    """One frame of what `stresnet predict --annotate` writes."""
    stresnet.annotate(timeline, video, scratch / "annotated.mp4")
    frame = decoded(scratch / "annotated.mp4", 480)[3 * FPS]
    Image.fromarray(frame).save(PICTURES / "annotated.webp", quality=82, method=6)


def main() -> None:
    """Draw all three."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        video = scratch / "three clips.mp4"
        with video_writer(video, fps=FPS) as writer:
            for number, frame in enumerate(np.concatenate([frames_of(clip) for clip in SHOWN])):
                writer.add(frame, number / FPS)
        timeline = stresnet.timeline("fight", video, SETTINGS)
        draw_recognised(video, timeline)
        draw_flow()
        draw_annotated(video, timeline, scratch)


if __name__ == "__main__":
    main()
