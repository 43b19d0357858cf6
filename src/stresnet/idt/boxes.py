"""Boxes around people, from a detector of the user's, one text file per video.

    frame  left top right bottom score  left top right bottom score ...

One line per frame, counted from 0, as the authors' program reads them, in pixels of the video as it
is shown. Frames without a line have no box.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from stresnet.data.store.location import store_path
from stresnet.data.video.container import opened_video, printable
from stresnet.errors import VideoError
from stresnet.idt.motion import NO_BOXES, Boxes

NUMBERS = 5  # of a box


class BoxFile:
    """The boxes of one video, brought to the size of its extracted frames."""

    def __init__(self, path: Path, scale: float) -> None:
        self._of_frame = {frame: boxes * scale for frame, boxes in _read(path).items()}

    def __call__(self, frame: int) -> Boxes:
        """(n, 4) left, top, right, bottom, in pixels of the extracted frame."""
        return self._of_frame.get(frame, NO_BOXES)


def box_path(folder: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `folder/CLASS/clip.avi.txt`.

    Raises:
        UsageError: the name is empty or leads out of the folder.
    """
    return store_path(folder, name).with_suffix(".txt")


def scale_of(video: Path, short_side: int) -> float:
    """Return the pixels of an extracted frame per pixel of the video as shown.

    Raises:
        VideoError: the file cannot be decoded here.
    """
    with opened_video(video) as (_, stream):
        width, height = stream.codec_context.width, stream.codec_context.height
        aspect = stream.sample_aspect_ratio or Fraction(1)
    return short_side / float(min(width * aspect, Fraction(height)))


def _read(path: Path) -> dict[int, Boxes]:
    found: dict[int, Boxes] = {}
    try:
        lines = map(str.split, path.read_text(encoding="ascii").splitlines())
        for frame, *numbers in filter(None, lines):
            boxes = np.array(numbers, np.float32).reshape(-1, NUMBERS)
            if not np.isfinite(boxes).all():
                raise ValueError(f"frame {frame}: a number is not finite")
            found[int(frame)] = boxes[:, :4]
    except (OSError, ValueError) as error:
        raise VideoError(
            f"{printable(path)}: the boxes cannot be read ({error})",
            remedy="expected a frame's number and 5 numbers a box in each line",
        ) from error
    return found
