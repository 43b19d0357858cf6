"""Annotations -> segments of existing videos: paths found, seconds, checked, not overlapping.

annotations --(find the video, frames -> seconds)--> segments --(check)--> --(overlap)--> segments
"""

from __future__ import annotations

import csv
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from stresnet.data.annotations.annotation import Annotation, LabelledSegment
from stresnet.data.annotations.overlap import without_overlap
from stresnet.data.annotations.read import read_annotations
from stresnet.data.annotations.videos import videos_below, videos_named
from stresnet.data.video.probe import probe
from stresnet.errors import DatasetError, UsageError, VideoError, in_lines, in_short
from stresnet.files import atomic_write, inert_cell

BEYOND = 0.5  # seconds that a segment may lie outside its video: tools and containers round

logger = logging.getLogger(__name__)


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

    Args: as in `read_annotations`, `segments_of` and `without_overlap`.

    Raises:
        DatasetError: a file cannot be read, a video is missing, or segments make no sense.
        UsageError: an argument makes no sense.
    """
    videos = None if videos is None else Path(videos)
    read = {file: read_annotations(file, tiers) for file in map(Path, files)}
    if empty := [str(file) for file, annotations in read.items() if not annotations]:
        if len(empty) == len(read):
            raise DatasetError(
                f"no label with a time in {in_short(empty)}", remedy="mark what happens, and when"
            )
        logger.warning("without any label, left out (%d): %s", len(empty), in_short(empty))
    found = [
        segment
        for file, annotations in read.items()
        for segment in segments_of(annotations, file.parent, videos=videos, fps=fps, points=points)
    ]
    labelled = {segment.video for segment in found}
    checked = check_segments(found, {video: length_of(video) for video in labelled})
    places = {video.parent for video in labelled} | ({videos.absolute()} if videos else set())
    others = {path for place in places for paths in videos_below(place).values() for path in paths}
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
        folder: of the annotation file; names are relative to it, and videos are looked for in it.
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
    found = videos_named(names, folder, videos)
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
        found_at = found[each.video]
        segments.append(
            LabelledSegment(found_at, start, end, each.label, each.split, folder.absolute())
        )
    return segments


def length_of(video: Path) -> Length:
    """Read a video file through and return its length; only once, while the file is the same.

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
    """Return the segments, cut where rounding took them beyond their video.

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
            problems.append(f"{each}: ends before it begins")
        elif each.start < -BEYOND or each.end <= 0:
            problems.append(f"{each}: begins before the video")
        elif seconds and (each.end > seconds + BEYOND or each.start >= seconds):
            outside[each.video].append(each)
        else:
            start, end = max(each.start, 0.0), min(each.end, seconds or each.end)
            kept.append(replace(each, start=start, end=end))
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
            f"{those[0]}: outside the video, which lasts {length.seconds:.1f} s"
            + (f"; so are {len(those) - 1} more of it" if len(those) > 1 else "") + hint
        )  # fmt: skip
    if problems:
        raise DatasetError(
            f"impossible segments ({len(problems)}):{in_lines(problems)}",
            remedy="correct them in the annotations; times are seconds, or h:mm:ss.s",
        )
    return kept


def write_list(segments: Sequence[LabelledSegment], out: Path) -> None:
    """Write a CSV list: path (relative to it, where that is possible), label, start, end, split.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    folder = out.resolve().parent
    # If all are for training, as when nothing is said, test recordings are drawn.
    splits = any(each.split == "test" for each in segments)
    with (
        atomic_write(out) as partial,
        partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["path", "label", "start", "end", *(["split"] if splits else [])])
        for each in segments:
            video = each.video.resolve()
            inside = video.is_relative_to(folder)
            path = video.relative_to(folder).as_posix() if inside else str(video)
            times = f"{each.start:.3f}", f"{each.end:.3f}"
            row = [inert_cell(path), inert_cell(each.label), *times]
            writer.writerow([*row, each.split or "train"] if splits else row)
