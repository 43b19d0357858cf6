"""An explanation's files: the overlay video, the contact sheet, the numbers, and a page.

Warm colours speak for the class, blue against it; both streams and the whole video share one scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.video.encode import video_writer
from stresnet.drawing import (
    APPEARANCE,
    MOTION,
    WHITE,
    Colour,
    Picture,
    blended,
    draw_text,
    heat,
    resized,
)
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.report.pictures import flow_pictures
from stresnet.evaluation.score_files import save_arrays
from stresnet.explanation.class_activation_map import STREAMS, between, over_pixels
from stresnet.explanation.explanation import Explanation
from stresnet.files import atomic_write, write_text
from stresnet.flow import grey
from stresnet.pages import render_page

OVERLAY, SHEET, NUMBERS, PAGE = (
    "overlay.mp4",
    "contact_sheet.jpg",
    "explanation.npz",
    "index.html",
)
ARRAYS = ("label", "margin", "bias", "maps", "centres", "rows", "columns", "edges", "losses")
BLOCK = 16  # frames in memory at a time
OPACITY = 0.75  # of the strongest evidence
AGAINST: Colour = (40, 90, 255)
INK, GROUND = 160, 24  # grey levels of lines and of what has no picture
HEADER, LANE = 24, 28  # px; the line of words, and a stream's part of the timeline
SHEET_TIMES, SHEET_WIDTH = 6, 224  # columns of the contact sheet, and px of each
COLOURS = dict(zip(STREAMS, (APPEARANCE, MOTION), strict=True))


def save_explanation(explanation: Explanation, folder: str | Path) -> None:
    """Write overlay.mp4, contact_sheet.jpg, explanation.npz, and index.html that shows them.

    The .npz holds `class_names`, each stream's scores as `appearance` and `motion`, the frames'
    `times` in seconds, and the rest under the names that it has in `Explanation`.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    with video_writer(folder / OVERLAY, fps=explanation.video.fps or 25.0) as writer:
        for picture, time in overlay(explanation):
            writer.add(picture, time)
    with atomic_write(folder / SHEET) as path:
        path.write_bytes(encode_rgb(contact_sheet(explanation)))
    save_arrays(
        folder / NUMBERS,
        class_names=np.array(explanation.class_names, np.str_),
        appearance=explanation.scores.appearance,
        motion=explanation.scores.motion,
        times=explanation.video.times,
        **{name: getattr(explanation, name) for name in ARRAYS},
    )
    write_text(folder / PAGE, render(explanation))


def render(explanation: Explanation) -> str:
    """Draw the page, which shows its neighbours and loads nothing else."""
    frames, of_frames = explanation.of_frames
    video, scores = explanation.video, explanation.scores
    duration = video.duration or 1.0  # a single frame has none
    times = video.times - video.times[0]
    middles = (times[frames] + duration / video.num_frames / 2) / duration
    half = 0.4 / len(explanation.centres)
    cuts = np.append(times, duration)[explanation.edges] / duration
    columns = (softmax(each) for each in (scores.fused, scores.appearance, scores.motion))
    return render_page(
        "explanation.html",
        explanation=explanation,
        files={"overlay": OVERLAY, "sheet": SHEET, "numbers": NUMBERS},
        streams=STREAMS,
        chunks={"spans": [(middle - half, middle + half) for middle in middles], "of": of_frames},
        hidden={"spans": list(pairwise(cuts)), "of": explanation.losses},
        scores=sorted(zip(*columns, explanation.class_names, strict=True), reverse=True),
    )


def overlay(explanation: Explanation) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of the overlay video and their times in seconds.

    On the left what appearance saw in the frame, on the right what motion saw, with the flow in the
    corner; below, each chunk's evidence over time and where the video is.
    """
    video = explanation.video
    lanes = timeline(explanation, 2 * video.width)
    for first in range(0, video.num_frames, BLOCK):
        indices = np.arange(first, min(first + BLOCK, video.num_frames))
        frames, flows = video.frames(indices), flow_pictures(video, indices)
        seen = _tinted(frames, _attention(explanation, indices))
        for frame, flow, appearance, motion in zip(indices, flows, *seen, strict=True):
            small = resized(flow, video.height // 4, video.width // 4)
            motion[: len(small), motion.shape[1] - small.shape[1] :] = small
            panels = np.concatenate([appearance, motion], axis=1)
            played = lanes.copy()
            x = int((frame + 0.5) / video.num_frames * played.shape[1])
            played[:, max(x - 1, 0) : x + 1] = 255
            header = np.full((HEADER, panels.shape[1], 3), GROUND, np.uint8)
            _caption(header, explanation, video.width)
            yield np.concatenate([header, panels, played]), float(video.times[frame])


def contact_sheet(explanation: Explanation) -> Picture:
    """Draw some moments from left to right; below each frame, its flow and what each stream saw."""
    video = explanation.video
    indices = np.unique(testing_centres(video.num_frames, SHEET_TIMES))
    frames = video.frames(indices)
    rows: dict[str, Iterable[Picture]] = {
        "frame": frames,
        "flow": flow_pictures(video, indices),
        **dict(zip(STREAMS, _tinted(frames, _attention(explanation, indices)), strict=True)),
    }
    height = round(SHEET_WIDTH * video.height / video.width)
    sheet = []
    for name, pictures in rows.items():
        small = [resized(picture, height, SHEET_WIDTH).copy() for picture in pictures]
        draw_text(small[0], name, 0, 0, size=13, colour=COLOURS.get(name, WHITE))
        if name == "frame":
            for picture, frame in zip(small, indices, strict=True):
                draw_text(picture, f"{video.times[frame]:.2f} s", 0, height - 20, size=13)
        sheet.append(np.concatenate(small, axis=1))
    header = np.full((HEADER, sheet[0].shape[1], 3), GROUND, np.uint8)
    _caption(header, explanation, header.shape[1] // 2)
    return np.concatenate([header, *sheet])


def timeline(explanation: Explanation, width: int) -> Picture:
    """Draw a lane for each stream: each chunk's bar goes up for the class, or down against it."""
    frames, of_frames = explanation.of_frames
    top, bottom = max(float(of_frames.max()), 0.0), min(float(of_frames.min()), 0.0)
    scale = (LANE - 2) / ((top - bottom) or 1.0)  # px per unit of evidence
    zero = round(top * scale)
    half = max(width // (3 * len(explanation.centres)), 1)
    lanes = []
    for name, values in zip(STREAMS, of_frames, strict=True):
        lane = np.full((LANE, width, 3), GROUND, np.uint8)
        for frame, value in zip(frames, values, strict=True):
            x = int((frame + 0.5) / explanation.video.num_frames * width)
            tip = zero - round(value * scale)
            bar = slice(min(tip, zero), max(tip, zero))
            lane[bar, max(x - half, 0) : x + half] = COLOURS[name]
        lane[zero] = INK
        draw_text(lane, name, 0, 0, size=10, background=None)
        lanes.append(lane)
    return np.concatenate(lanes)


def _attention(explanation: Explanation, frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """(2,n,H,W) in [-1, 1]: evidence for each pixel of the frames, between chunks and cells.

    Chunks of the same frame are averaged, since rounding alone decides which frames have two.
    """
    scale = float(np.abs(explanation.maps).max()) or 1.0
    over_time = between(explanation.centres, frames)  # (n,T)
    maps = np.einsum("nt,sthw->snhw", over_time, explanation.maps / scale)
    video = explanation.video
    return over_pixels(maps, explanation.rows, explanation.columns, video.height, video.width)


def _tinted(frames: Picture, attention: NDArray[np.float64]) -> tuple[list[Picture], list[Picture]]:
    """Grey frames (n,H,W,3) under the colours of evidence (2,n,H,W)."""
    greys = [np.repeat(luma[..., None], 3, axis=-1) for luma in grey(frames)]
    appearance, motion = (
        [_under_evidence(luma, values) for luma, values in zip(greys, maps, strict=True)]
        for maps in attention
    )
    return appearance, motion


def _under_evidence(picture: Picture, values: NDArray[np.float64]) -> Picture:
    strength = np.sqrt(np.abs(values))  # or one strong chunk would leave all others grey
    colours = np.where(values[..., None] >= 0, heat(strength), np.array(AGAINST, np.uint8))
    return blended(picture, colours, OPACITY * strength)


def _caption(header: Picture, explanation: Explanation, right: int) -> None:
    """The class and its margin, then each stream's share, appearance's at 0 px, motion's at
    `right` px."""
    appearance, motion = explanation.of_streams
    words = f"{explanation.label} {explanation.margin:+.2f}: "
    x = draw_text(header, words, 0, 2, background=None)
    draw_text(header, f"appearance {appearance:+.2f}", x, 2, colour=APPEARANCE, background=None)
    draw_text(header, f"motion {motion:+.2f}", right, 2, colour=MOTION, background=None)
