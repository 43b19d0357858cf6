"""A label on a stretch of a video: as a tool wrote it, and in seconds of an existing file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stresnet.errors import DatasetError


@dataclass(frozen=True)
class Annotation:
    """A label from `start` to `end` of a video.

    Attributes:
        video: as the annotation file names it: a path, an address, or a bare name.
        start, end: seconds of the video; or, `in_frames`, the first frame (counted from 0) and the
            frame after the last. `end` is None for a point event, which has no duration.
        fps: the frame rate that the annotation file states, frames per second.
        split: "train" or "test", where the annotation file says it.
        where: the place in the file, for messages.

    Raises:
        ValueError: it names no video or no label, or a time that is not finite.
    """

    video: str
    label: str
    start: float
    end: float | None
    in_frames: bool = False
    fps: float | None = None
    split: str | None = field(default=None, kw_only=True)
    where: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        named = isinstance(self.video, str) and self.video.strip() and self.label.strip()
        if not (named and math.isfinite(self.start) and math.isfinite(self.end or 0.0)):
            raise ValueError(
                f"{self.where}: video {self.video!r}, label {self.label!r}, from {self.start} to "
                f"{self.end}; expected names and numbers"
            )


@dataclass(frozen=True, order=True)
class LabelledSegment:
    """A labelled stretch of a video.

    Attributes:
        start, end: seconds of the file.
        split: "train" or "test", where the annotation file says it.
        folder: of the annotation file.
    """

    video: Path
    start: float
    end: float
    label: str
    split: str | None = field(default=None, compare=False)  # None has no order
    folder: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.video.name} {self.start:.3f}-{self.end:.3f} {self.label}"


def seconds_of(text: str) -> float:
    """Return a time in seconds: `62.5`, `62,5`, `1:02.5` or `0:01:02.5`.

    Raises:
        ValueError: it is not a time, or it is negative.
    """
    parts = text.strip().replace(",", ".").split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        raise ValueError(f"{text!r} is not a time") from None
    outside = any(not 0 <= value < 60 for value in values[1:])
    if len(parts) > 3 or outside or not math.isfinite(values[0]) or values[0] < 0:
        raise ValueError(f"{text!r} is not a time")
    return sum(value * 60.0**place for place, value in enumerate(reversed(values)))


def cell(row: Mapping[str, str], *names: str) -> str:
    """Return the first of the named cells that holds something; "" if none does."""
    return next((row[name].strip() for name in names if row.get(name, "").strip()), "")


def unreadable(path: object, reason: object) -> DatasetError:
    """Return the error for an annotation file whose content is not as its format demands."""
    return DatasetError(
        f"{path}: cannot be read as annotations ({reason})",
        remedy="docs/howto/recordings.md lists what is read of each tool; if this is one of them, "
        "export it again",
    )
