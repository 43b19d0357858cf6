"""Segments -> a CSV list, for `train` and `evaluate`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from stresnet.data.annotations.segments import LabelledSegment
from stresnet.files import atomic_write, inert_cell


def write_list(segments: Sequence[LabelledSegment], out: Path) -> None:
    """Write a CSV list: path (relative to it, where that is possible), label, start, end, split.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    folder = out.resolve().parent
    splits = any(each.split for each in segments)
    with atomic_write(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "start", "end", *(["split"] if splits else [])])
        for each in segments:
            video = each.video.resolve()
            inside = video.is_relative_to(folder)
            path = video.relative_to(folder).as_posix() if inside else str(video)
            times = f"{each.start:.3f}", f"{each.end:.3f}"
            row = [inert_cell(path), inert_cell(each.label), *times]
            writer.writerow([*row, each.split or "train"] if splits else row)
