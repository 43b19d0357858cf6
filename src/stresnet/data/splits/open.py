"""A user's data -> a `Split`: a folder per class, UCF101, HMDB51, a CSV list, annotations.

Classes have names everywhere. Names are sorted, and indices are used inside the program only.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stresnet.data.annotations.annotation import seconds_of
from stresnet.data.annotations.read import LISTS, separator
from stresnet.data.splits.annotated import (
    Recordings,
    annotation_files,
    read_recordings,
    settle,
    split_recordings,
)
from stresnet.data.splits.official import HMDB51_LISTS, UCF101_CLASSES, hmdb51, ucf101
from stresnet.data.splits.split import (
    NUMBER,
    TEST_FRACTION,
    Split,
    VideoItem,
    draw_split,
    make_split,
)
from stresnet.data.video.inputs import (
    OURS,
    VIDEO_ENDINGS,
    FoundFiles,
    as_spelt_on_disk,
    as_written_here,
    is_hidden,
    is_ours,
)
from stresnet.errors import DatasetError, UsageError, in_short
from stresnet.files import read_text

# Folders that are parts of a split, see `_part_of`; of several, the first one is taken.
TRAINING = ("train", "training", "trainval", "trainandval", "trn")
HELD_OUT = (
    *("test", "testing", "tests", "tst", "val", "valid", "validation", "validate", "dev"),
    *("development", "eval", "evaluation", "holdout", "heldout"),
)
FILLER = "(?:set|sets|data|dataset|ds|videos?|clips?|images?|files?|folder|split|part)*"
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
    """Whether data are annotated recordings, which are judged as timelines; false if not there.

    Raises:
        DatasetError: it is a CSV list that cannot be read.
    """
    if not data.exists():
        return False
    if data.is_file() and data.suffix.lower() in LISTS and not annotation_files(data):
        return any(row.get("start") for row in _read_csv(data))
    return bool(annotation_files(data))


def _open(
    data: Path, fold: int | None, lists: Path | None, seed: int, recordings: Recordings
) -> Split:
    if seed < 0:
        raise UsageError(f"the seed is {seed}; expected 0 or more")
    if data.exists() and (files := annotation_files(data)):
        if fold is not None:
            raise UsageError(
                f"{data}: annotations have no folds, but fold {fold} was asked for",
                remedy="write a list with `stresnet annotations`, and add a column fold",
            )
        root = data if data.is_dir() else data.parent
        return read_recordings(files, root, recordings, _is_test, seed)
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
    """Return who reads a data set's official lists (`ucf101` or `hmdb51`), and their folder.

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
    """Read root/CLASS/, or root/{train,test}/CLASS/ where these are there; videos at any depth.

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
        part, rest = _part_of(folder.name)
        found[rest].setdefault(part, folder)
    for parts in found.values():
        training = [parts[name] for name in TRAINING if name in parts]
        held_out = [parts[name] for name in HELD_OUT if name in parts]
        if training and held_out:
            others = {*folders} - {training[0], held_out[0]}
            if unused := ", ".join(sorted(folder.name for folder in others)):
                logger.info("%s: not used beside %s: %s", root, training[0].name, unused)
            return training[0], held_out[0]
    alone = [folder for folder in folders if _part_of(folder.name)[0]]
    if alone and all(folder in alone or _is_our_own(folder) for folder in folders):
        is_training = any(_part_of(folder.name)[0] in TRAINING for folder in alone)
        missing = f"no folder of {'test' if is_training else 'training'} videos"
        raise DatasetError(
            f"{root}: holds {', '.join(folder.name for folder in alone)}, but {missing} beside it",
            remedy="add the folder test or val, or train; or name the folder that holds the "
            "classes, and test videos are drawn from them",
        )
    return None


def _is_test(folder: Path) -> bool | None:
    """Whether a folder is named as that of test videos, or of training videos."""
    part, _ = _part_of(folder.name)
    return part in HELD_OUT if part else None


def _part_of(folder: str) -> tuple[str, str]:
    """Return the part of a split that a folder's name says, spelt as above, and what else it says.

    `Training_Set` is training; `ucf_train` and `ucf-val_256` are parts of ucf.
    """
    folder_words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)  # TrainRGB
    words = re.findall(r"[^\W\d_]+", folder_words.casefold())
    for first in range(len(words)):
        for after in range(len(words), first, -1):  # train+val before train
            joined = "".join(words[first:after])  # held_out
            known = re.fullmatch(f"{FILLER}({'|'.join((*TRAINING, *HELD_OUT))}){FILLER}", joined)
            if known:
                others = words[:first] + words[after:]
                rest = "".join(word for word in others if not re.fullmatch(FILLER, word))
                return known[1], rest
    return "", folder


def _require_classes_here(root: Path, classes: Sequence[str]) -> None:
    """Refuse folders that are not classes: those in them are, or the parts of a split are below."""
    inner = {name: {folder.name for folder in _subfolders(root / name)} for name in classes}
    common = sorted(set.intersection(*inner.values()))
    parts = {_part_of(name)[0] for names in inner.values() for name in names}
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


def csv_list(
    path: Path,
    *,
    fold: int | None = None,
    seed: int = 0,
    recordings: Recordings = Recordings(),  # noqa: B008
) -> Split:
    """Videos from a CSV file with a header: columns path, label and perhaps source, fold, split.

    With columns `start` and `end` (seconds, or h:mm:ss.s) a row is a segment of its video. Commas,
    semicolons or tabs separate cells.

    Paths are relative to the CSV's folder. With a column `fold` (whole numbers), the videos of
    `fold` are for testing and all others for training; None is the lowest. With a column `split`,
    each row says train or test, spelt as folders may be. With neither, a fifth of each class is
    drawn, whole sources at a time where there is a column `source`.

    Raises:
        DatasetError: the file cannot be read, or rows are not as described (all are listed), or
            segments lie outside their video or overlap.
        UsageError: `fold` is given and not in the list.
    """
    rows = _read_csv(path)
    items = [_csv_item(path, row) for row in rows]
    if rows and "fold" in rows[0]:
        folds = [int(row["fold"].partition(".")[0]) for row in rows]
        wanted = min(folds) if fold is None else fold
        if wanted not in folds:
            known = ", ".join(map(str, sorted(set(folds))))
            raise UsageError(f"{path}: has no fold {fold}", remedy=f"choose from {known}")
        in_test = [number == wanted for number in folds]
    elif fold is not None:
        raise UsageError(f"{path}: fold {fold} was asked for, but the list has no column fold")
    elif rows and "split" in rows[0]:
        items, in_test = _by_part(path, items, [_part_of(row["split"])[0] for row in rows])
    else:
        in_test = []
    if any(item.span for item in items):
        sides = list(zip(items, in_test, strict=False))
        for_test = {item.name for item, is_test in sides if is_test}
        if both := sorted({item.name for item, is_test in sides if not is_test} & for_test):
            raise DatasetError(
                f"{path}: segments of one video are for training and for testing: {in_short(both)}",
                remedy="keep whole recordings on one side",
            )
        settled, lengths = settle(items, recordings)
        tested = for_test if in_test else None
        return split_recordings(settled, lengths, recordings, tested, seed)
    if not in_test:
        return draw_split(items, TEST_FRACTION, seed)
    train = (item for item, is_test in zip(items, in_test, strict=True) if not is_test)
    test = (item for item, is_test in zip(items, in_test, strict=True) if is_test)
    return make_split(train, test)


def _by_part(
    path: Path, items: Sequence[VideoItem], parts: Sequence[str]
) -> tuple[list[VideoItem], list[bool]]:
    """The videos for training and for testing, and whether each is for testing.

    As with folders, one part is used of those that are held out.
    """
    of_each = Counter(parts)
    training = next((name for name in TRAINING if name in of_each), "")
    held_out = next((name for name in HELD_OUT if name in of_each), "")
    if unused := sorted({*of_each} - {training, held_out}):
        left = ", ".join(f"{of_each[name]} of {name}" for name in unused)
        logger.info("%s: left out beside %s: %s", path, held_out or training, left)
    used = [(item, part) for item, part in zip(items, parts, strict=True) if part not in unused]
    return [item for item, _ in used], [part == held_out for _, part in used]


def _read_csv(path: Path) -> list[dict[str, str]]:
    """Rows with stripped cells, each checked; the separator is the header's."""
    rows: list[dict[str, str]] = []
    problems: list[str] = []
    try:
        with io.StringIO(read_text(path), newline="") as file:
            delimiter = separator(file.readline())  # of a spreadsheet in many languages it is ;
            file.seek(0)
            reader = csv.DictReader(file, restkey="", restval="", delimiter=delimiter)
            header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            if any(header.count(column) != 1 for column in ("path", "label")):
                raise DatasetError(
                    f"{path}: has the columns {', '.join(header) or '(none)'}",
                    remedy="its first line must name the columns path and label, each once",
                )
            for cells in reader:
                row = {column: str(cells[column]).strip() for column in header}
                if not any(row.values()):  # spreadsheets write such rows
                    continue
                rows.append(row)
                if problem := _row_problem(row):
                    problems.append(f"line {reader.line_num}: {problem}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path}: cannot be read ({error})", remedy="save it as a comma-separated UTF-8 file"
        ) from error
    if problems:
        raise DatasetError(f"{path}: {in_short(problems, '; ')}", remedy="correct these lines")
    return rows


def _row_problem(row: Mapping[str, str]) -> str:
    if not row["path"] or not row["label"]:
        return "path or label is empty"
    if "fold" in row and not NUMBER.fullmatch(row["fold"]):
        return f"fold is {row['fold']!r}, expected a whole number"
    if "split" in row and not _part_of(row["split"])[0]:
        return f"split is {row['split']!r}, expected train or test"
    times = row.get("start", ""), row.get("end", "")
    if bool(times[0]) != bool(times[1]):
        return "of start and end, one is empty"
    try:
        _ = [seconds_of(time) for time in times if time]
    except ValueError as error:
        return f"{error}; expected seconds, or h:mm:ss.s"
    return ""


def _csv_item(list_path: Path, row: Mapping[str, str]) -> VideoItem:
    video = Path(as_written_here(list_path.parent, row["path"]))
    # A name is a relative path too: prepared videos are stored under it.
    inside = not video.is_absolute() and ".." not in video.parts
    path = as_spelt_on_disk(list_path.parent / video)
    name = video if inside else path.resolve().relative_to(path.resolve().anchor)
    times = row.get("start"), row.get("end")
    span = (seconds_of(times[0]), seconds_of(times[1])) if times[0] and times[1] else None
    return VideoItem(path, row["label"], name.as_posix(), row.get("source") or None, span)


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
            files.leave_out(path, root, "links to folders")
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
    zips = (Path(name).stem.lower() for name in files.left_out.get("files .zip", ()))
    return OURS in files.left_out or any(name.endswith(VIDEO_ENDINGS) for name in zips)


def _subfolders(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder or list", remedy="check the spelling")
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.is_symlink() and not is_hidden(path.name)
    )
