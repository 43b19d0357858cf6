"""A user's data -> a `Split`: a folder per class, UCF101, HMDB51, a CSV list, annotations.

Classes have names everywhere. Names are sorted, and indices are used inside the program only.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from stresnet.data.annotations.read import LISTS
from stresnet.data.splits.annotated import Recordings, annotation_files, read_recordings
from stresnet.data.splits.csv_list import csv_list, read_csv_list
from stresnet.data.splits.official import HMDB51_LISTS, UCF101_CLASSES, hmdb51, ucf101
from stresnet.data.splits.parts import HELD_OUT, TRAINING, part_of
from stresnet.data.splits.split import TEST_FRACTION, Split, VideoItem, draw_split, make_split
from stresnet.data.video.folders import (
    OURS,
    VIDEO_ENDINGS,
    FoundFiles,
    is_hidden,
    is_ours,
    with_ending,
)
from stresnet.errors import DatasetError, UsageError, in_short

Reader = Callable[[Path, Path, int], Split]  # (videos, lists, fold)
USE_LAYOUT = (
    "arrange the videos as CLASS/video, {train,test}/CLASS/video, a CSV list with columns path and "
    "label, or recordings with the files of an annotation tool"
)

logger = logging.getLogger(__name__)


def open_dataset(
    data: Path,
    *,
    fold: int | None = None,
    lists: Path | None = None,
    seed: int = 0,
    recordings: Recordings | None = None,
) -> Split:
    """Recognise what `data` is and read it: a folder per class, UCF101, a list, annotations, ...

    UCF101 and HMDB51 are recognised by their official lists, in the folder `lists` or, without it,
    in `data` or a folder in it. `fold` None is the first fold where there are several.

    Args:
        recordings: what to make of annotated recordings; None: they are refused.

    Raises:
        DatasetError: `data` is none of these, or cannot be used.
        UsageError: `fold` or `lists` is given for data without folds, or the seed is negative.
    """
    split = _open(data, fold, lists, seed, recordings or Recordings())
    if split.of_recordings and recordings is None:
        raise DatasetError(
            f"{data}: holds segments of long recordings, which cannot be used here",
            remedy="give clips; `stresnet train` and `stresnet evaluate` take recordings",
        )
    if recordings and recordings.background and not split.of_recordings:
        raise UsageError(
            f"{data}: has no annotated recordings, whose unlabelled time could be the background",
            remedy="leave --background out",
        )
    return split


def holds_recordings(data: Path) -> bool:
    """Whether `data` holds annotated recordings, judged as timelines; False if it is missing.

    Raises:
        DatasetError: it is a CSV list that cannot be read.
    """
    if annotation_files(data):
        return True
    is_list = data.is_file() and data.suffix.lower() in LISTS
    return is_list and any(row.get("start") for row in read_csv_list(data))


def _open(
    data: Path, fold: int | None, lists: Path | None, seed: int, recordings: Recordings
) -> Split:
    if seed < 0:
        raise UsageError(f"the seed is {seed}; expected 0 or more")
    if files := annotation_files(data):
        if fold is not None:
            raise UsageError(
                f"{data}: annotations have no folds, but fold {fold} was asked for",
                remedy="write a list with `stresnet annotations`, and add a column fold",
            )
        root = data if data.is_dir() else data.parent
        return read_recordings(files, root, recordings, seed)
    if data.is_file():
        if data.suffix.lower() not in LISTS:
            raise DatasetError(f"{data}: is neither a folder nor a .csv list", remedy=USE_LAYOUT)
        return csv_list(data, fold=fold, seed=seed, recordings=recordings)
    if official := official_lists(data, lists):
        read, folder = official
        return read(data, folder, 1 if fold is None else fold)
    if fold is not None:
        raise UsageError(
            f"{data}: a folder per class has no folds, but fold {fold} was asked for",
            remedy="list the videos in a CSV with the columns path, label and fold",
        )
    return folder_per_class(data, seed=seed)


def official_lists(root: Path, lists: Path | None = None) -> tuple[Reader, Path] | None:
    """Return what reads a data set's official lists (`ucf101` or `hmdb51`), and their folder.

    Args:
        lists: the folder; None: `root` or a folder in it, if there are any lists.

    Raises:
        DatasetError: there are none in `lists`, or no such folder.
    """
    for folder in [lists] if lists else [root, *_subfolders(root)]:
        if (folder / UCF101_CLASSES).is_file():
            return ucf101, folder
        if any(folder.glob(HMDB51_LISTS.format("[0-9]"))):
            return hmdb51, folder
    if lists is not None:
        raise DatasetError(
            f"{lists}: holds no official lists of UCF101 or HMDB51",
            remedy=f"expected {UCF101_CLASSES} or {HMDB51_LISTS.format(1)} in it",
        )
    return None


def folder_per_class(root: Path, *, seed: int = 0) -> Split:
    """Read root/CLASS/, or root/{train,test}/CLASS/ if these exist; videos at any depth.

    Without a folder `train`, a fifth of each class is drawn for testing, video by video.
    Clips cut from one source then land on both sides, and the measured accuracy is too high: give
    such clips a column `source` in a CSV list, and the draw keeps sources together. The names of
    training and test folders are `TRAINING` and `HELD_OUT`, in any case, perhaps with `set`.

    What this program wrote into `root` is not a class. Files that are left out are counted in one
    line of the log.

    Raises:
        DatasetError: `root` is not such a folder.
    """
    files = FoundFiles()
    parts = _parts_of_split(root)
    try:
        if parts is None:
            items, classes = _labelled(root, root, files)
            _require_classes_here(root, classes)
            return draw_split(items, TEST_FRACTION, seed, classes)
        train, train_classes = _labelled(parts[0], root, files)
        test, test_classes = _labelled(parts[1], root, files)
        return make_split(train, test, train_classes + test_classes)
    finally:
        files.log(root)


def _parts_of_split(root: Path) -> tuple[Path, Path] | None:
    """The folders of training and of test videos, or None where the folders are classes."""
    folders = _subfolders(root)
    found: dict[str, dict[str, Path]] = defaultdict(dict)  # by the rest of the name, by the part
    for folder in folders:
        part, rest = part_of(folder.name)
        found[rest].setdefault(part, folder)
    for parts in found.values():
        training = [parts[name] for name in TRAINING if name in parts]
        held_out = [parts[name] for name in HELD_OUT if name in parts]
        if training and held_out:
            others = {*folders} - {training[0], held_out[0]}
            if unused := ", ".join(sorted(folder.name for folder in others)):
                logger.info("%s: not used beside %s: %s", root, training[0].name, unused)
            return training[0], held_out[0]
    alone = [folder for folder in folders if part_of(folder.name)[0]]
    if alone and all(folder in alone or _is_our_own(folder) for folder in folders):
        is_training = any(part_of(folder.name)[0] in TRAINING for folder in alone)
        missing = f"no folder of {'test' if is_training else 'training'} videos"
        raise DatasetError(
            f"{root}: holds {', '.join(folder.name for folder in alone)}, but {missing} beside it",
            remedy="add the folder test or val, or train; or name the folder that holds the "
            "classes, and test videos are drawn from them",
        )
    return None


def _require_classes_here(root: Path, classes: Sequence[str]) -> None:
    """Refuse folders that are not classes but hold the classes, or the parts of a split."""
    inner = {name: {folder.name for folder in _subfolders(root / name)} for name in classes}
    common = sorted(set.intersection(*inner.values()))
    parts = {part_of(name)[0] for names in inner.values() for name in names}
    those = in_short(classes)
    if parts.intersection(TRAINING) and parts.intersection(HELD_OUT):
        problem = f"folders of training and of test videos are below those of the classes ({those})"
    elif len(common) > 1 and len(classes) == 1:
        problem = f"holds only the folder {those}, and the classes seem to be in it: "
        problem += in_short(common)
    elif len(common) > 1:
        problem = (
            f"every folder ({those}) holds the same folders ({in_short(common)}), so these are the "
            "classes rather than those"
        )
    else:
        return
    raise DatasetError(
        f"{root}: {problem}",
        remedy=f"give {root / classes[0]}" if len(classes) == 1 else USE_LAYOUT,
    )


def _labelled(folder: Path, root: Path, files: FoundFiles) -> tuple[list[VideoItem], list[str]]:
    """The videos of each class folder in `folder`, and the classes; names are relative to root."""
    items, classes = [], []
    for place in _subfolders(folder):
        if _is_our_own(place):
            logger.info("%s: written by stresnet, not a class", place)
            continue
        found = files.add(place, root)
        classes.append(place.name)
        items += [VideoItem(path, place.name, path.relative_to(root).as_posix()) for path in found]
    for path in folder.iterdir():
        if path.is_symlink() and path.is_dir():
            files.leave_out(path, "links to folders", root=root)
    if not classes:
        raise DatasetError(f"{folder}: holds no class folders", remedy=USE_LAYOUT)
    return items, classes


def _is_our_own(folder: Path) -> bool:
    """Whether no video in a folder is the user's, and this program has written into it."""
    files = FoundFiles()
    if is_ours(folder):
        return True
    if files.add(folder, folder):
        return False
    zips = (Path(name).stem.lower() for name in files.left_out.get(with_ending(".zip"), ()))
    return OURS in files.left_out or any(name.endswith(VIDEO_ENDINGS) for name in zips)


def _subfolders(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder or list", remedy="check the spelling")
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.is_symlink() and not is_hidden(path.name)
    )
