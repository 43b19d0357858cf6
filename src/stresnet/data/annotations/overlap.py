"""Segments that overlap -> segments that do not: who gets the time, and what nobody labelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from stresnet.data.annotations.annotation import LabelledSegment
from stresnet.errors import DatasetError, UsageError, in_lines

OVERLAPS = ("error", "later", "longer", "drop")
TOLERATED = 0.05  # seconds that two segments may overlap: a click is no more exact


def without_overlap(
    segments: Iterable[LabelledSegment], rule: str = "error"
) -> list[LabelledSegment]:
    """Return segments in order of video and time, no two of which overlap.

    Segments of one label that overlap become one. Those of different labels are an error, or are
    cut: `later` gives the time to the segment that begins later, `longer` to the longer one, `drop`
    to neither. A segment may be cut into two.

    Raises:
        DatasetError: segments of different labels overlap, and `rule` is "error".
        UsageError: there is no such rule.
    """
    if rule not in OVERLAPS:
        raise UsageError(f"--overlap is {rule!r}", remedy="choose later, longer or drop")
    result: list[LabelledSegment] = []
    problems: list[str] = []
    for _, of_video in groupby(sorted(segments), key=lambda each: each.video):
        joined = _joined(of_video)
        for first, second in _overlapping(joined):
            if min(first.end, second.end) - second.start > TOLERATED:
                problems.append(f"{first} and {second}")
        result += _painted(joined, "later" if rule == "error" else rule)
    if problems and rule == "error":
        raise DatasetError(
            f"segments of different classes overlap ({len(problems)}):" + in_lines(problems),
            remedy="correct them, or say who gets the time: --overlap later, longer or drop",
        )
    return result


def unlabelled(
    segments: Iterable[LabelledSegment], length: float, shortest: float = 0.5
) -> list[tuple[float, float]]:
    """Return the gaps between the segments of one video, in seconds; short ones are left out."""
    borders = [0.0, *(t for each in sorted(segments) for t in (each.start, each.end)), length]
    gaps = zip(borders[::2], borders[1::2], strict=True)
    return [(start, end) for start, end in gaps if end - start >= shortest]


def _joined(segments: Iterable[LabelledSegment]) -> list[LabelledSegment]:
    """Segments of one video; those of one label are joined where they overlap."""
    last: dict[str, LabelledSegment] = {}
    result: list[LabelledSegment] = []
    for each in segments:
        before = last.get(each.label)
        if before and each.start < before.end:
            result.remove(before)
            each = replace(before, end=max(before.end, each.end))
        last[each.label] = each
        result.append(each)
    return sorted(result)


def _overlapping(
    segments: Sequence[LabelledSegment],
) -> Iterable[tuple[LabelledSegment, LabelledSegment]]:
    for place, first in enumerate(segments):
        for second in segments[place + 1 :]:
            if second.start >= first.end:
                break
            yield first, second


def _painted(segments: Sequence[LabelledSegment], rule: str) -> list[LabelledSegment]:
    """Give each moment to one segment, or to none."""

    def worth(each: LabelledSegment) -> tuple[float, float]:
        length = each.end - each.start
        return (length, each.start) if rule == "longer" else (each.start, -length)

    borders = sorted({t for each in segments for t in (each.start, each.end)})
    result: list[LabelledSegment] = []
    owner_before: LabelledSegment | None = None
    for start, end in pairwise(borders):
        there = [each for each in segments if each.start <= start and each.end >= end]
        contested = len({each.label for each in there}) > 1
        owner = None if not there or (contested and rule == "drop") else max(there, key=worth)
        if owner is not None and owner is owner_before:
            result[-1] = replace(result[-1], end=end)
        elif owner is not None:
            result.append(replace(owner, start=start, end=end))
        owner_before = owner
    return result
