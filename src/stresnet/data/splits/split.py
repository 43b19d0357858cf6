"""Labelled videos, divided into those for training and those for testing."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stresnet.errors import UsageError

TEST_FRACTION = 0.2  # of each class, where nothing says which videos are for testing
NUMBER = re.compile(r"(\d{1,18})(?:\.0*)?")  # 7, and the 7.0 of spreadsheets and data frames


@dataclass(frozen=True)
class VideoItem:
    """One labelled video, or a labelled segment of a long one.

    Attributes:
        name: its relative path with `/` and ending: what the prepared video and the results are
            called by. Unique in the data set, except that all segments of a video share its name.
        source: what it was cut from (a film, a camera, a person), where that is known. Clips of one
            source resemble each other, so all of them belong on one side of the split.
        span: the segment's start and end, seconds; None: the whole video.
    """

    path: Path
    label: str
    name: str
    source: str | None = None
    span: tuple[float, float] | None = None

    @property
    def source_key(self) -> str:
        """What it was cut from; the video itself, where that is not known."""
        return f"video {self.name}" if self.source is None else f"source {self.source}"


@dataclass(frozen=True)
class Split:
    """Training and test videos. `class_names` are sorted; a label's index is its place there.

    Attributes:
        background: the class of unlabelled time in long recordings, if there is one.
    """

    class_names: tuple[str, ...]
    train: tuple[VideoItem, ...]
    test: tuple[VideoItem, ...]
    background: str | None = None

    @property
    def of_recordings(self) -> bool:
        """Whether items are segments of long recordings, which are judged as timelines."""
        return any(item.span for item in self.train + self.test)


def make_split(
    train: Iterable[VideoItem], test: Iterable[VideoItem], classes: Iterable[str] = ()
) -> Split:
    """Sort videos and classes by name; those of `classes` count even without videos."""
    train = tuple(sorted(train, key=_order))
    test = tuple(sorted(test, key=_order))
    labels = {item.label for item in train + test} | set(classes)
    return Split(tuple(sorted(labels)), train, test)


def _order(item: VideoItem) -> tuple[str, tuple[float, ...]]:
    return item.name, item.span or ()


def draw_split(
    items: Sequence[VideoItem], test_fraction: float, seed: int, classes: Iterable[str] = ()
) -> Split:
    """Draw a test set of about `test_fraction` of each class, whole sources at a time.

    A video without a known source stands for itself; where that holds for a whole class, the
    fraction is met to the nearest video, though at least one is drawn and one is left. Sources are
    drawn as long as no class goes beyond its share; a class whose sources are all too large for
    that gives its smallest one, if any can be spared. The order of drawing is a hash of seed and
    name: it does not depend on the machine, and new videos hardly change it.

    Raises:
        UsageError: `test_fraction` is not between 0 and 1.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"test_fraction is {test_fraction}; expected between 0 and 1")
    total = Counter(item.label for item in items)
    share = {k: min(max(1, round(test_fraction * n)), n - 1) for k, n in total.items()}
    drawn: Counter[str] = Counter()
    test: list[VideoItem] = []
    sources = sorted(_by_source(items).items(), key=lambda pair: name_hash(f"{seed} {pair[0]}"))
    for _, clips in sources:
        counts = Counter(item.label for item in clips)
        if all(drawn[label] + count <= share[label] for label, count in counts.items()):
            test += clips
            drawn += counts
    for _, clips in sorted(sources, key=lambda pair: len(pair[1])):
        counts = Counter(item.label for item in clips)
        can_be_spared = all(drawn[label] + count < total[label] for label, count in counts.items())
        if can_be_spared and any(drawn[label] == 0 for label in counts):
            test += clips
            drawn += counts
    tested = {item.name for item in test}
    return make_split((item for item in items if item.name not in tested), test, classes)


def _by_source(items: Iterable[VideoItem]) -> dict[str, list[VideoItem]]:
    sources: dict[str, list[VideoItem]] = defaultdict(list)
    for item in items:
        sources[item.source_key].append(item)
    return sources


def name_hash(text: str) -> bytes:
    """A number that depends on a name alone: sorting by it is a draw, the same everywhere."""
    return hashlib.sha256(os.fsencode(text)).digest()
