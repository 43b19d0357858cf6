"""Segments of long videos as items of a split: checked, background added, recordings kept whole.

items with a span --(check, overlap)--> items --(gaps between them)--> items of the background
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from stresnet.data.annotations.annotation import LabelledSegment
from stresnet.data.annotations.overlap import unlabelled, without_overlap
from stresnet.data.annotations.read import is_annotations
from stresnet.data.annotations.segments import Length, check_segments, length_of, read_segments
from stresnet.data.splits.parts import HELD_OUT, part_of
from stresnet.data.splits.split import TEST_FRACTION, Split, VideoItem, draw_split, make_split
from stresnet.data.video.folders import files_below
from stresnet.errors import DatasetError
from stresnet.files import one_spelling

Lengths: TypeAlias = Mapping[Path, Length]  # of videos


@dataclass(frozen=True)
class Recordings:
    """What to make of annotated recordings.

    Attributes:
        background: the class of the time that nobody labelled; None leaves this time out.
        overlap: who gets the time where segments of different labels overlap, see
            `without_overlap`.
    """

    background: str | None = None
    overlap: str = "error"


def annotation_files(data: Path) -> list[Path]:
    """Return the annotation files that `data` is, or that lie beside the videos in a folder.

    ELAN has a file for each recording, so a folder with .eaf files at any depth is a data set.
    Those that this program wrote into a folder of its own are answers, not annotations.
    """
    if data.is_file():
        return [data] if is_annotations(data) else []
    return sorted(path for path in files_below(data) if path.suffix.lower() == ".eaf")


def read_recordings(
    files: Sequence[Path],
    root: Path,
    given: Recordings,
    seed: int,
) -> Split:
    """Read annotation files; test recordings are named in them or by their folder, or drawn.

    Args:
        root: what names are relative to.

    Raises:
        DatasetError: as in `read_segments`.
    """
    segments = read_segments(files, overlap=given.overlap)
    base = root.resolve()
    items = [
        VideoItem(each.video, each.label, _name(each.video, base), span=(each.start, each.end))
        for each in segments
    ]

    def is_tested(each: LabelledSegment) -> bool:
        """As the annotation file says, else its folder or one above, else the video's folder."""
        if each.split:
            return each.split == "test"
        above = [each.folder, *each.folder.parents] if each.folder else []
        places = [place for place in above if place.is_relative_to(root.absolute())]
        parts = (part_of(place.name)[0] for place in [*places, each.video.parent])
        return next((part in HELD_OUT for part in parts if part), False)

    pairs = zip(items, segments, strict=True)
    tested = {item.name for item, each in pairs if is_tested(each)}
    lengths = {path: length_of(path) for path in {item.path for item in items}}
    return split_recordings(items, lengths, given, tested or None, seed)


def settle(items: Sequence[VideoItem], given: Recordings) -> tuple[list[VideoItem], Lengths]:
    """Return the segments of a list, checked and without overlaps, and the lengths of the videos.

    An item without a span is its whole video. If a video is not there, for example because only its
    prepared form is, its length is not known.

    Raises:
        DatasetError: segments lie outside their video, or overlap; all are listed. Or a video has
            two sources.
    """
    # A list may call one video by two names, such as day1.mp4 and /data/day1.mp4.
    items = [replace(item, path=one_spelling(item.path)) for item in items]
    first = {item.path: item for item in reversed(items)}
    for item in items:
        if item.source != first[item.path].source:
            raise DatasetError(
                f"{item.name}: is listed as of source {first[item.path].source or 'none'}, and of "
                f"{item.source or 'none'}",
                remedy="a recording has one source",
            )
    lengths = {path: length_of(path) for path in first if path.is_file()}
    segments = [
        LabelledSegment(item.path, *(item.span or (0.0, lengths[item.path].seconds)), item.label)
        for item in items
        if item.span or item.path in lengths
    ]
    kept = without_overlap(check_segments(segments, lengths), given.overlap)
    settled = [
        replace(first[each.video], label=each.label, span=(each.start, each.end)) for each in kept
    ]
    whole = [item for item in items if not item.span and item.path not in lengths]
    return settled + whole, lengths


def split_recordings(
    items: Sequence[VideoItem],
    lengths: Lengths,
    given: Recordings,
    tested: set[str] | None,
    seed: int,
) -> Split:
    """Divide segments by their recordings; add the background to those for training.

    Args:
        tested: names of the test videos; None: they are drawn.
    """
    if tested is None:
        split = draw_split(items, TEST_FRACTION, seed)
    else:
        train = (item for item in items if item.name not in tested)
        split = make_split(train, (item for item in items if item.name in tested))
    if given.background is None:
        return split
    pieces = background_items(split.train, lengths, given.background)
    if not pieces and given.background not in split.class_names:
        raise DatasetError(
            f"no unlabelled time is left for the background {given.background!r}",
            remedy="leave --background out",
        )
    classes = {*split.class_names, given.background}
    split = make_split([*split.train, *pieces], split.test, classes)
    return replace(split, background=given.background)


def background_items(items: Iterable[VideoItem], lengths: Lengths, label: str) -> list[VideoItem]:
    """Return unlabelled stretches: as many as the most frequent class has segments, or all.

    Segments that are labelled as the background count among them.

    The unlabelled time of all recordings, one after the other, is divided evenly; the longest
    stretch of each share is taken, and every training sample is drawn somewhere in it.
    """
    of_video: dict[Path, list[VideoItem]] = defaultdict(list)
    for item in items:
        of_video[item.path].append(item)
    gaps: list[VideoItem] = []
    for path, there in of_video.items():
        spans = [LabelledSegment(path, *item.span, item.label) for item in there if item.span]
        last = max((each.end for each in spans), default=0.0)
        known = lengths[path].seconds if path in lengths else last
        gaps += [
            replace(there[0], label=label, span=gap) for gap in unlabelled(spans, max(known, last))
        ]
    labelled = Counter(item.label for there in of_video.values() for item in there)
    count = max(labelled.values(), default=0) - labelled[label]
    if count <= 0:
        return []
    if len(gaps) <= count:
        return gaps
    total = sum(_seconds(gap) for gap in gaps)
    shares: dict[int, VideoItem] = {}
    at = 0.0  # seconds of unlabelled time before this stretch
    for gap in gaps:
        start, end = gap.span or (0.0, 0.0)
        while end - start > 1e-6:
            share = min(int(at * count / total + 1e-9), count - 1)
            stop = min(end, start + max((share + 1) * total / count - at, 1e-6))
            piece = replace(gap, span=(start, stop))
            if share not in shares or _seconds(piece) > _seconds(shares[share]):
                shares[share] = piece
            at, start = at + stop - start, stop
    return [shares[share] for share in sorted(shares)]


def _seconds(item: VideoItem) -> float:
    return item.span[1] - item.span[0] if item.span else 0.0


def _name(video: Path, folder: Path) -> str:
    """A video's name, as in a list: its path relative to the annotations, or from the root."""
    place = video.resolve()
    base = folder if place.is_relative_to(folder) else Path(place.anchor)
    return place.relative_to(base).as_posix()
