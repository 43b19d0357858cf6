"""A CSV list of videos, or of segments of recordings -> a `Split`."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from stresnet.data.annotations.annotation import seconds_of
from stresnet.data.annotations.read import separator
from stresnet.data.splits.annotated import Recordings, settle, split_recordings
from stresnet.data.splits.parts import HELD_OUT, TRAINING, part_of
from stresnet.data.splits.split import (
    NUMBER,
    TEST_FRACTION,
    Split,
    VideoItem,
    draw_split,
    make_split,
)
from stresnet.data.video.folders import as_spelt_on_disk, as_written_here
from stresnet.errors import DatasetError, UsageError, in_short
from stresnet.files import plain_cell, read_text

logger = logging.getLogger(__name__)


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
    each row says train or test, in any spelling that folders may have. With neither, a fifth of
    each class is drawn, whole sources at a time where there is a column `source`.

    Raises:
        DatasetError: the file cannot be read, or rows are not as described (all are listed), or
            segments lie outside their video or overlap.
        UsageError: `fold` is given and not in the list.
    """
    rows = read_csv_list(path)
    items = [item_of(path, row) for row in rows]
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
        items, in_test = _by_part(path, items, [part_of(row["split"])[0] for row in rows])
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

    As with folders, only one of the parts that are held out is used.
    """
    of_each = Counter(parts)
    training = next((name for name in TRAINING if name in of_each), "")
    held_out = next((name for name in HELD_OUT if name in of_each), "")
    if unused := sorted({*of_each} - {training, held_out}):
        left = ", ".join(f"{of_each[name]} of {name}" for name in unused)
        logger.info("%s: left out beside %s: %s", path, held_out or training, left)
    used = [(item, part) for item, part in zip(items, parts, strict=True) if part not in unused]
    return [item for item, _ in used], [part == held_out for _, part in used]


def read_csv_list(path: Path) -> list[dict[str, str]]:
    """Rows with stripped cells, each checked; the separator is the header's."""
    rows: list[dict[str, str]] = []
    problems: list[str] = []
    try:
        with io.StringIO(read_text(path), newline="") as file:
            delimiter = separator(file.readline())  # in many languages, spreadsheets write ;
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
                row = {column: plain_cell(str(cells[column]).strip()) for column in header}
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
    if "split" in row and not part_of(row["split"])[0]:
        return f"split is {row['split']!r}, expected train or test"
    times = row.get("start", ""), row.get("end", "")
    if bool(times[0]) != bool(times[1]):
        return "of start and end, one is empty"
    try:
        _ = [seconds_of(time) for time in times if time]
    except ValueError as error:
        return f"{error}; expected seconds, or h:mm:ss.s"
    return ""


def item_of(list_path: Path, row: Mapping[str, str]) -> VideoItem:
    """The video, or the segment, of a row of the list at `list_path`."""
    video = Path(as_written_here(list_path.parent, row["path"]))
    # A name is a relative path too: prepared videos are stored under it.
    inside = not video.is_absolute() and ".." not in video.parts
    path = as_spelt_on_disk(list_path.parent / video)
    name = video if inside else path.resolve().relative_to(path.resolve().anchor)
    times = row.get("start"), row.get("end")
    span = (seconds_of(times[0]), seconds_of(times[1])) if times[0] and times[1] else None
    return VideoItem(path, row["label"], name.as_posix(), row.get("source") or None, span)
