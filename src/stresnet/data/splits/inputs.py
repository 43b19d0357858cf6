"""What a verb is given: video files, folders, patterns, lists, a camera or a stream."""

from __future__ import annotations

import glob
import logging
import re
from pathlib import Path

from stresnet.data.annotations.read import LISTS
from stresnet.data.splits.csv_list import item_of, read_csv_list
from stresnet.data.video.folders import as_spelt_on_disk, as_written_here, find_videos
from stresnet.errors import DatasetError, UsageError, printable
from stresnet.files import read_text

TEXT_LISTS = (".txt", ".lst")
STREAM_SCHEMES = ("rtsp", "rtsps")

logger = logging.getLogger(__name__)


def videos_of(place: str | Path, *, by_name: bool = False) -> list[tuple[Path, str]]:
    """Find the videos of a file, a folder at any depth, an address, or a list: (path, name).

    A CSV list is as in `train`. A text file (.txt) has a file, folder or pattern on each line,
    relative to its own folder; empty lines are skipped, and so are lines that begin with `#`,
    unless they name a file. Each video comes once. None is opened: a listed file that is missing is
    noticed when it is read.

    Args:
        by_name: whether files that are left out are named in the log, or only counted.

    Raises:
        DatasetError: the list cannot be read, or there is no such place, or no video in it.
    """
    place = Path(place)
    if not is_list(place):
        return find_videos(place, by_name=by_name)
    if place.suffix.lower() in TEXT_LISTS:
        return list(dict.fromkeys(_lines(place)))
    items = [item_of(place, row) for row in read_csv_list(place)]
    if not items:
        raise DatasetError(f"{place}: lists no video", remedy="write one on each line")
    return [(path, name) for name, path in {item.name: item.path for item in items}.items()]


def is_list(place: str | Path) -> bool:
    """Whether it is a list of videos, by its name."""
    return Path(place).suffix.lower() in (*LISTS, *TEXT_LISTS)


def find_inputs(given: str, *, allow_network: bool = False) -> str | list[tuple[Path, str]]:
    """Find the videos that an argument of `predict` stands for, in order: (path, name).

    A pattern with `*`, `?` or `**` stands for what matches; all else that is a path is as in
    `videos_of`. A number is a camera ("./0" is a file).

    Args:
        allow_network: rtsp:// addresses may be opened.

    Returns:
        (path, name) of each; or the text itself of a camera's number or a stream's address.

    Raises:
        UsageError: an address that may not be opened.
        DatasetError: no video was found, or a list cannot be read.
    """
    if given.isdecimal():
        return given
    scheme, is_address, _ = given.partition("://")
    if not is_address:
        return videos_of(Path(given)) if is_list(given) else _matching(given)
    if scheme.lower() not in STREAM_SCHEMES:
        raise UsageError(
            f"{scheme}:// addresses are not fetched",
            remedy="download the video, and name the file",
        )
    if not allow_network:
        raise UsageError(f"{scheme}:// needs the network", remedy="allow it with --allow-network")
    return given


def _lines(path: Path) -> list[tuple[Path, str]]:
    try:
        lines = re.split(r"\r\n|\n|\r", read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{printable(path)}: cannot be read as a list of videos ({error})",
            remedy="give a UTF-8 text file with one path a line",
        ) from error
    entries = [line.strip() for line in lines if line.strip()]
    comments = [
        entry
        for entry in entries
        if entry.startswith("#") and not as_spelt_on_disk(path.parent / entry).exists()
    ]
    if comments:
        logger.info("%s: left out: lines that begin with # (%d)", printable(path), len(comments))
    entries = [entry for entry in entries if entry not in comments]
    if not entries:
        raise DatasetError(
            f"{printable(path)}: lists no video", remedy="write one path on each line"
        )
    entries = [as_written_here(path.parent, entry) for entry in entries]
    return [video for entry in entries for video in _matching(str(path.parent / entry), entry)]


def _matching(given: str, name: str = "") -> list[tuple[Path, str]]:
    path = as_spelt_on_disk(Path(given))
    if path.is_dir():
        return find_videos(path)
    if path.exists() or not glob.has_magic(given):
        return [(path, _inside(name or path.name))]
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 Path's takes no "/a/*"
    found = [Path(match) for match in matches if not Path(match).is_dir()]
    if not matches:
        raise DatasetError(f"{given}: matches no file", remedy="check the pattern")
    if folders := len(matches) - len(found):
        logger.info("%s: left out: folders (%d; for all in them: **/*)", given, folders)
    return [(match, _inside(match)) for match in found]


def _inside(path: str | Path) -> str:
    """Return a relative path that leads nowhere but down."""
    return "/".join(part for part in Path(path).parts if part not in ("..", ".", Path(path).anchor))
