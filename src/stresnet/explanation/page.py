"""An explanation's files: the overlay video, the contact sheet, the numbers, and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.video.encode import video_writer
from stresnet.explanation.class_activation_map import STREAMS
from stresnet.explanation.explanation import Explanation
from stresnet.explanation.pictures import contact_sheet, overlay
from stresnet.files import atomic_write
from stresnet.pages import render_page

OVERLAY, SHEET, NUMBERS, PAGE = (
    "overlay.mp4",
    "contact_sheet.jpg",
    "explanation.json",
    "index.html",
)
CHART_WIDTH, CHART_HEIGHT = 1000, 160  # of a chart's coordinates


def save_explanation(explanation: Explanation, folder: str | Path) -> None:
    """Write overlay.mp4, contact_sheet.jpg, explanation.json, and index.html that shows them.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    with video_writer(folder / OVERLAY, fps=explanation.video.fps or 25.0) as writer:
        for picture, time in overlay(explanation):
            writer.add(picture, time)
    with atomic_write(folder / SHEET) as path:
        path.write_bytes(encode_rgb(contact_sheet(explanation)))
    numbers = explanation.as_dict()
    with atomic_write(folder / NUMBERS) as path:
        path.write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    with atomic_write(folder / PAGE) as path:
        path.write_text(render(explanation, numbers), encoding="utf-8")


def render(explanation: Explanation, numbers: dict[str, Any]) -> str:
    """Draw the page, which shows its neighbours and loads nothing else."""
    frames, of_frames = explanation.of_frames
    video = explanation.video
    duration = video.duration or 1.0  # a single frame has none
    times = video.times - video.times[0]
    middles = (times[frames] + duration / video.num_frames / 2) / duration
    half = 0.4 / len(explanation.centres)
    cuts = np.append(times, duration)[explanation.edges] / duration
    return render_page(
        "explanation",
        explanation=numbers,
        files={"overlay": OVERLAY, "sheet": SHEET, "numbers": NUMBERS},
        streams=STREAMS,
        chunks=chart([(middle - half, middle + half) for middle in middles], of_frames),
        hidden=chart(list(pairwise(cuts)), explanation.losses),
    )


def chart(spans: Sequence[tuple[float, float]], values: NDArray[np.float64]) -> dict[str, Any]:
    """Return bars (2,n) on one zero line, both streams side by side in each span of [0, 1]."""
    top, bottom = max(float(values.max(initial=0)), 0.0), min(float(values.min(initial=0)), 0.0)
    scale = CHART_HEIGHT / ((top - bottom) or 1.0)
    bars = [
        {
            "stream": name,
            "x": round(CHART_WIDTH * (start + (end - start) * (0.05 + 0.45 * place)), 1),
            "width": round(CHART_WIDTH * (end - start) * 0.45, 1),
            "y": round((top - max(value, 0.0)) * scale, 1),
            "height": round(abs(value) * scale, 1),
            "text": f"{name} {value:+.3f}",
        }
        for place, (name, row) in enumerate(zip(STREAMS, values, strict=True))
        for (start, end), value in zip(spans, row, strict=True)
    ]
    return {
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
        "zero": round(top * scale, 1),
        "top": top,
        "bottom": bottom,
        "bars": bars,
    }
