"""An explanation's files: the overlay video, the contact sheet, the numbers, and a page."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.video.encode import video_writer
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.score_files import save_arrays
from stresnet.explanation.class_activation_map import STREAMS
from stresnet.explanation.explanation import Explanation
from stresnet.explanation.pictures import contact_sheet, overlay
from stresnet.files import atomic_write, write_text
from stresnet.pages import render_page

OVERLAY, SHEET, NUMBERS, PAGE = (
    "overlay.mp4",
    "contact_sheet.jpg",
    "explanation.npz",
    "index.html",
)
ARRAYS = ("label", "margin", "bias", "maps", "centres", "rows", "columns", "edges", "losses")


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
