"""What the command line is given: video files, folders, patterns, lists, a camera or a stream."""

from __future__ import annotations

import glob
import logging
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stresnet.data.video.container import printable
from stresnet.errors import DatasetError, UsageError

VIDEO_ENDINGS = (
    *(".avi", ".divx", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".qt", ".webm"),
    *(".3g2", ".3gp", ".m1v", ".m2t", ".m2ts", ".m2v", ".mpe", ".mpeg", ".mpg", ".mts", ".ts"),
    *(".asf", ".f4v", ".flv", ".ogm", ".ogv", ".vob", ".wmv"),
)
LIST_ENDINGS = (".txt", ".lst")
STREAM_SCHEMES = ("rtsp", "rtsps")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoInput:
    """A video file, and the name of its outputs: a relative path with `/`."""

    path: Path
    name: str


@dataclass(frozen=True)
class LiveInput:
    """A camera's number ("0"), or the address of a stream ("rtsp://...")."""

    address: str


@dataclass
class FoundFiles:
    """The files below some folders.

    Attributes:
        videos: those that have a video's ending, in no order.
        left_out: how many others there are, by the reason.
    """

    videos: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, folder: Path, root: Path) -> list[Path]:
        """Look through a folder at any depth; return the videos in it.

        Hidden files and folders are left out, and so are links to folders and links that lead out
        of `root`.
        """
        found = []
        for parent, folders, names in os.walk(folder):
            for name in [*folders]:
                if problem := _problem_of_folder(Path(parent, name)):
                    folders.remove(name)
                    self.left_out[problem] += 1
            for name in names:
                if problem := _problem_of_file(Path(parent, name), root):
                    self.left_out[problem] += 1
                else:
                    found.append(Path(parent, name))
        self.videos += found
        return found

    def log(self, place: Path) -> None:
        """Say in one line how many files were left out, and why."""
        if self.left_out:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
            logger.info("%s: left out: %s", printable(place), reasons)


def _problem_of_folder(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden folders"
    return "links to folders" if path.is_symlink() else ""


def _problem_of_file(path: Path, root: Path) -> str:
    if path.name.startswith("."):
        return "hidden files"
    if path.suffix.lower() not in VIDEO_ENDINGS:
        return f"files {path.suffix.lower()}" if path.suffix else "files without an ending"
    if not path.is_file():
        return "broken links or devices"
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        return "links out of the folder"
    return ""


def find_videos(place: Path) -> list[tuple[Path, str]]:
    """Find a video file, or the videos at any depth of a folder: (path, name), sorted by name.

    Raises:
        DatasetError: there is no such place, or no video in it.
    """
    if place.is_file():
        return [(place, place.name)]
    files = FoundFiles()
    found = sorted((path.relative_to(place).as_posix(), path) for path in files.add(place, place))
    files.log(place)
    if not found:
        raise DatasetError(f"{place}: there are no videos here", remedy="check the spelling")
    return [(path, name) for name, path in found]


def find_inputs(given: str, *, allow_network: bool = False) -> LiveInput | tuple[VideoInput, ...]:
    """Find the videos that an argument stands for, in order.

    A file is itself. A folder stands for the videos at any depth of it, a pattern with `*`, `?` or
    `**` for what matches, a `.txt` file for its lines, each a file, folder or pattern relative to
    the list's folder; empty lines are skipped, and so are lines that begin with `#`, unless they
    name a file. A number is a camera ("./0" is a file). No video is opened here: a missing file is
    noticed when it is read.

    Args:
        allow_network: rtsp:// addresses may be opened.

    Raises:
        UsageError: an address that may not be opened.
        DatasetError: there is no video, or a list cannot be read.
    """
    if given.isdecimal():
        return LiveInput(given)
    if "://" in given:
        return _stream(given, allow_network)
    path = Path(given)
    if path.suffix.lower() in LIST_ENDINGS:
        return _listed(path)
    return _videos(given)


def _stream(address: str, allow_network: bool) -> LiveInput:
    scheme = address.split("://")[0].lower()
    if scheme not in STREAM_SCHEMES:
        raise UsageError(
            f"{scheme}:// addresses are not fetched",
            remedy="download the video, and name the file",
        )
    if not allow_network:
        raise UsageError(f"{scheme}:// needs the network", remedy="allow it with --allow-network")
    return LiveInput(address)


def _listed(path: Path) -> tuple[VideoInput, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{printable(path)}: cannot be read as a list of videos ({error})",
            remedy="give a UTF-8 text file with one path a line",
        ) from error
    entries = [line.strip() for line in lines if line.strip()]
    entries = [
        entry for entry in entries if not entry.startswith("#") or (path.parent / entry).exists()
    ]
    if not entries:
        raise DatasetError(
            f"{printable(path)}: lists no video", remedy="write one path on each line"
        )
    return tuple(video for entry in entries for video in _videos(str(path.parent / entry), entry))


def as_spelt_on_disk(path: Path) -> Path:
    """Return a path in the Unicode form that exists: an é may be one character or two."""
    forms = (path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD")))
    return next((form for form in forms if form.exists()), path)


def _videos(given: str, name: str = "") -> tuple[VideoInput, ...]:
    path = as_spelt_on_disk(Path(given))
    if path.is_dir():
        return tuple(VideoInput(video, name) for video, name in find_videos(path))
    if path.exists() or not glob.has_magic(given):
        return (VideoInput(path, _inside(name or path.name)),)
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 Path's takes no "/a/*"
    found = [Path(match) for match in matches]
    if not found:
        raise DatasetError(f"{given}: matches no file", remedy="check the pattern")
    return tuple(VideoInput(match, _inside(match)) for match in found if match.is_file())


def _inside(path: str | Path) -> str:
    """Return a relative path that leads nowhere but down."""
    return "/".join(part for part in Path(path).parts if part not in ("..", ".", Path(path).anchor))
