"""UCF101 and HMDB51 with their official train and test lists.

UCF101 (Soomro, Zamir, Shah 2012): `classInd.txt` ("1 ApplyEyeMakeup"), `trainlist01.txt`
("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"), `testlist01.txt` (no number), folds 1-3.
HMDB51 (Kuehne et al. 2011): `CLASS_test_split1.txt` ("name.avi 1"; 1 train, 2 test, 0 unused).

Copies of both differ in the case of some names (HandstandPushups, HandStandPushups), so names of
classes and files are matched without case. A video that is listed but missing becomes an item all
the same; `checks.check` lists all missing ones together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from stresnet.data.splits.split import Split, VideoItem, make_split
from stresnet.errors import DatasetError, UsageError
from stresnet.files import read_text

FOLDS = (1, 2, 3)
UCF101_CLASSES = "classInd.txt"
HMDB51_LISTS = "*_test_split{}.txt"
# A group holds the clips of one UCF101 source video, e.g. v_Archery_g08_c01.avi: Archery_g08.
UCF101_SOURCE = re.compile(r"v_(.+_g\d+)_c\d+\.\w+")


def ucf101(root: Path, lists: Path, fold: int) -> Split:
    """UCF101 under `root` (CLASS/video.avi), split `fold` (1-3) of the lists in folder `lists`.

    Raises:
        DatasetError: a list is missing or malformed, or a label disagrees with `classInd.txt`.
        UsageError: no such fold.
    """
    _check_fold(fold)
    by_number = dict(_pairs(lists / UCF101_CLASSES))
    classes = {name.casefold(): name for name in by_number.values()}
    videos = _Videos(root)

    def items(list_path: Path) -> Iterator[VideoItem]:
        for name, *number in _words(list_path):
            folder = name.partition("/")[0]
            label = classes.get(folder.casefold())
            if label is None:
                raise DatasetError(f"{list_path}: {name}: its class is not in {UCF101_CLASSES}")
            if number and by_number.get(number[0]) != label:
                raise DatasetError(
                    f"{list_path}: {name} has number {number[0]}, which is "
                    f"{by_number.get(number[0], 'nothing')} in {UCF101_CLASSES}",
                    remedy="take both files from one copy of the official lists; they count from 1",
                )
            source = UCF101_SOURCE.fullmatch(name.rpartition("/")[2])
            yield videos.item(name, label, source.group(1).casefold() if source else None)

    train = items(lists / f"trainlist{fold:02}.txt")
    test = items(lists / f"testlist{fold:02}.txt")
    return make_split(train, test, classes.values())


def hmdb51(root: Path, lists: Path, fold: int) -> Split:
    """HMDB51 under `root` (CLASS/video.avi), split `fold` (1-3) of the lists in folder `lists`.

    Raises:
        DatasetError: the lists are missing or malformed.
        UsageError: no such fold.
    """
    _check_fold(fold)
    pattern = HMDB51_LISTS.format(fold)
    list_paths = sorted(lists.glob(pattern))
    if not list_paths:
        raise DatasetError(f"{lists}: holds no {pattern}", remedy="unpack the official split files")
    videos = _Videos(root)
    by_flag: dict[str, list[VideoItem]] = {"0": [], "1": [], "2": []}
    classes = []
    for list_path in list_paths:
        label = list_path.name.removesuffix(pattern[1:])
        classes.append(label)
        for name, flag in _pairs(list_path):
            if flag not in by_flag:
                raise DatasetError(f"{list_path}: {name} has flag {flag}; expected 0, 1 or 2")
            by_flag[flag].append(videos.item(f"{label}/{name}", label, None))
    return make_split(by_flag["1"], by_flag["2"], classes)


class _Videos:
    """The files under a root, found as CLASS/video without case, however deep the classes lie."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DatasetError(f"{root}: is not a folder", remedy="name the folder of the videos")
        self.root = root
        self.found = {_key(f"{path.parent.name}/{path.name}"): path for path in root.rglob("*/*")}

    def item(self, name: str, label: str, source: str | None) -> VideoItem:
        path = self.found.get(_key(name), self.root / name)
        return VideoItem(path, label, f"{label}/{path.name}", source)


def _key(name: str) -> str:
    return normalize("NFC", name).casefold()


def _words(path: Path) -> Iterator[list[str]]:
    """The words of each line that has any."""
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path}: cannot be read ({error})", remedy="name the folder of the official lists"
        ) from error
    return (line.split() for line in text.splitlines() if line.strip())


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    for words in _words(path):
        if len(words) != 2:
            raise DatasetError(f"{path}: {' '.join(words)!r}: expected two words in a line")
        yield words[0], words[1]


def _check_fold(fold: int) -> None:
    if fold not in FOLDS:
        raise UsageError(f"fold {fold}; the official lists have folds 1, 2 and 3")
