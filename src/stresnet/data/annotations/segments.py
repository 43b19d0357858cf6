"""Annotations -> segments of videos that are there: paths found, seconds, checked, not overlapping.

annotations --(find the video, frames -> seconds)--> segments --(check)--> --(overlap)--> segments
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from stresnet.data.annotations.annotation import Annotation
from stresnet.data.annotations.read import read_annotations
from stresnet.data.video.inputs import VIDEO_ENDINGS, as_spelt_on_disk
from stresnet.data.video.probe import probe
from stresnet.errors import DatasetError, UsageError, VideoError, in_short
from stresnet.files import atomic_write, inert_cell

OVERLAPS = ("error", "later", "longer", "drop")
TOLERATED = 0.05  # seconds that two segments may overlap: a click is no more exact
BEYOND = 0.5  # seconds that a segment may end after its video: tools and containers round

LINE = "\n  - "  # before each problem in a message

logger = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class LabelledSegment:
    """A labelled stretch of a video: `start` and `end` in seconds of the file."""

    video: Path
    start: float
    end: float
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Length:
    """How long a video is, in seconds, and its mean frames per second (0: not known)."""

    seconds: float
    fps: float


def read_segments(
    files: Sequence[str | Path],
    *,
    videos: str | Path | None = None,
    tiers: Collection[str] = (),
    fps: float | None = None,
    points: float | None = None,
    overlap: str = "error",
) -> list[LabelledSegment]:
    """Read annotation files into segments that are checked and do not overlap.

    Args: as of `read_annotations`, `segments_of` and `without_overlap`.

    Raises:
        DatasetError: a file cannot be read, a video is missing, or segments cannot be.
        UsageError: an argument makes no sense.
    """
    videos = None if videos is None else Path(videos)
    found = [
        segment
        for file in map(Path, files)
        for segment in segments_of(
            read_annotations(file, tiers), file.parent, videos=videos, fps=fps, points=points
        )
    ]
    labelled = {segment.video for segment in found}
    checked = check_segments(found, {video: length_of(video) for video in labelled})
    places = {video.parent for video in labelled} | ({videos} if videos else set())
    others = {path for place in places for paths in _below(place).values() for path in paths}
    if without := sorted(path.name for path in others - labelled):
        logger.warning(
            "videos without any label, left out (%d): %s", len(without), in_short(without)
        )
    return without_overlap(checked, overlap)


def segments_of(
    annotations: Sequence[Annotation],
    folder: Path,
    *,
    videos: Path | None = None,
    fps: float | None = None,
    points: float | None = None,
) -> list[LabelledSegment]:
    """Find the videos, and turn frames into seconds.

    Args:
        folder: of the annotation file: names are relative to it, and videos are looked for in it.
        videos: where to look first, at any depth.
        fps: frame rate that frames count in; None: as the file states it, else the video's own.
        points: seconds that a point event gets, around its time; None leaves point events out.

    Raises:
        DatasetError: a video is not there; all are listed.
        UsageError: `points` or `fps` is not above 0.
    """
    if (points is not None and points <= 0) or (fps is not None and fps <= 0):
        raise UsageError(f"points {points}, fps {fps}: expected above 0")
    names = sorted({each.video for each in annotations})
    found = _find(names, folder, videos)
    if missing := [name for name in names if name not in found]:
        raise DatasetError(
            f"videos that are not there ({len(missing)}): {in_short(missing)}",
            remedy=f"put them beside the annotations, or give --videos FOLDER (looked in "
            f"{videos or folder})",
        )
    without_end = Counter(each.label for each in annotations if each.end is None)
    if without_end and points is None:
        logger.warning(
            "left out: %d point events, which have no duration (%s); --points SECONDS gives them "
            "one", sum(without_end.values()), ", ".join(sorted(without_end)),
        )  # fmt: skip
    lengths = {name: length_of(path) for name, path in found.items()}
    _warn_of_rates(annotations, lengths, fps)
    segments = []
    for each in annotations:
        if each.end is None and points is None:
            continue
        rate = (fps or each.fps or lengths[each.video].fps or 25.0) if each.in_frames else 1.0
        start, end = each.start / rate, (each.start if each.end is None else each.end) / rate
        if each.end is None and points is not None:
            start, end = max(start - points / 2, 0.0), start + points / 2
        segments.append(LabelledSegment(found[each.video], start, end, each.label, each.split))
    return segments


def length_of(video: Path) -> Length:
    """Return what a video file shows when it is read through; once, as long as it is the same.

    Raises:
        DatasetError: it cannot be opened.
    """
    try:
        status = video.stat()
        return _read_through(video, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise DatasetError(f"{video}: cannot be read ({error})", remedy="replace it") from error
    except VideoError as error:
        raise DatasetError(error.problem, remedy="repair or replace it") from error


@cache
def _read_through(video: Path, size: int, modified: int) -> Length:
    info = probe(video)
    return Length(info.seconds, info.fps)


def _warn_of_rates(
    annotations: Iterable[Annotation], lengths: Mapping[str, Length], fps: float | None
) -> None:
    rates = {(each.video, each.fps, each.in_frames) for each in annotations}
    for video, stated, in_frames in sorted(rates, key=str):
        true = lengths[video].fps
        if stated and true and abs(stated - true) > 0.01 * true and not fps:
            logger.warning(
                "%s: %.6g frames per second in the annotations, %.6g in the file; %s",
                video, stated, true,
                "their rate is used; --fps gives another" if in_frames else "times are in seconds",
            )  # fmt: skip
        elif in_frames and not stated and not fps:
            logger.warning(
                "%s: times are frame numbers, and the annotations do not say their rate; the "
                "file's own is used, %.6g (Label Studio counts 24 a second unless its "
                "configuration says otherwise); --fps gives another", video, true or 25.0,
            )  # fmt: skip


def check_segments(
    segments: Iterable[LabelledSegment], lengths: Mapping[Path, Length]
) -> list[LabelledSegment]:
    """Return the segments, cut at their video's end where they go beyond it by a rounding.

    Args:
        lengths: of the videos; what is not in it, or is 0 seconds long, is not checked.

    Raises:
        DatasetError: segments end before they begin, or lie outside their video; all are listed.
    """
    kept, problems = [], []
    outside: dict[Path, list[LabelledSegment]] = defaultdict(list)
    for each in segments:
        seconds = lengths[each.video].seconds if each.video in lengths else 0.0
        if not each.start < each.end:
            problems.append(f"{_named(each)}: ends before it begins")
        elif seconds and (each.end > seconds + BEYOND or each.start >= seconds):
            outside[each.video].append(each)
        else:
            kept.append(replace(each, end=min(each.end, seconds)) if seconds else each)
    for video, those in outside.items():
        length = lengths[video]
        last = max(each.end for each in those)
        whole = all(float(t).is_integer() for each in those for t in (each.start, each.end))
        hint = ""
        if whole and length.fps and last / length.fps <= length.seconds + BEYOND:
            hint = (
                f": frame numbers, perhaps? At {length.fps:g} frames per second they would end at "
                f"{last / length.fps:.1f} s: divide them"
            )
        problems.append(
            f"{_named(those[0])}: outside the video, which lasts {length.seconds:.1f} s"
            + (f"; so are {len(those) - 1} more of it" if len(those) > 1 else "") + hint
        )  # fmt: skip
    if problems:
        raise DatasetError(
            f"impossible segments ({len(problems)}):\n  - {in_short(problems, LINE)}",
            remedy="correct them in the annotations; times are seconds, or h:mm:ss.s",
        )
    return kept


def without_overlap(
    segments: Iterable[LabelledSegment], rule: str = "error"
) -> list[LabelledSegment]:
    """Return segments in order of video and time, of which no two overlap.

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
                problems.append(f"{_named(first)} and {_named(second)}")
        result += _painted(joined, "later" if rule == "error" else rule)
    if problems and rule == "error":
        raise DatasetError(
            f"segments of different classes overlap ({len(problems)}):\n  - "
            + in_short(problems, LINE),
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
    """Segments of one video; of those of one label that overlap, the union."""
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


def _find(names: Sequence[str], folder: Path, videos: Path | None) -> dict[str, Path]:
    """Find what the names stand for: as they are, or by the last part, perhaps without ending."""
    found: dict[str, Path] = {}
    below: dict[str, list[Path]] | None = None
    for name in names:
        for place in _perhaps(name, folder, videos):
            if place.is_file():
                found[name] = place
                break
        else:
            below = _below(videos or folder) if below is None else below
            last = _last_part(name)
            # Label Studio puts eight digits before the name of a file that was uploaded;
            # ActivityNet leaves out the v_ before the name of its files.
            for key in (last, re.sub(r"^[0-9a-f]{8}-", "", last), f"v_{last}"):
                if len(places := below.get(key.casefold(), [])) == 1:
                    found[name] = places[0]
                    break
    return found


def _perhaps(name: str, folder: Path, videos: Path | None) -> list[Path]:
    address = urlsplit(name)
    path = unquote(address.path) if address.scheme == "file" else name
    if re.match(r"/[A-Za-z]:/", path):  # file:///C:/videos/a.mp4
        path = path[1:]
    last = _last_part(name)
    return [as_spelt_on_disk(place) for place in (
        *([videos / path, videos / last] if videos else []), folder / path, folder / last
    )]  # fmt: skip


def _last_part(name: str) -> str:
    address = urlsplit(name)
    path = unquote(address.path) if address.scheme in ("file", "http", "https") else name
    return PureWindowsPath(path).name  # also splits at /


def _below(folder: Path) -> dict[str, list[Path]]:
    """Videos at any depth, by file name and by file name without ending."""
    places: dict[str, list[Path]] = defaultdict(list)
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(VIDEO_ENDINGS):
                for key in {name.casefold(), Path(name).stem.casefold()}:
                    places[key].append(Path(parent, name))
    return places


def _named(each: LabelledSegment) -> str:
    return f"{each.video.name} {each.start:.3f}-{each.end:.3f} {each.label}"


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
