"""Folders of video files: which files in them are looked at, and how their paths are spelt."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from stresnet.cloud import listing
from stresnet.data.video.container import RAW_FORMATS
from stresnet.errors import DatasetError, UsageError, printable
from stresnet.files import MARK, address_of

VIDEO_ENDINGS = (
    *(".avi", ".divx", ".gif", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mp4v", ".qt", ".webm"),
    *(".3g2", ".3gp", ".3gp2", ".3gpp", ".insv", ".lrv", ".xvid"),
    *(".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".mod", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts"),
    *(".asf", ".f4v", ".flv", ".ogg", ".ogm", ".ogv", ".ogx", ".tod", ".trp", ".ts", ".vob"),
    *(".wm", ".wmv"),
    *RAW_FORMATS,
)
OUR_MARKS = (MARK, "run.json", "report.json", "explanation.npz")
# Of macOS's archives, Synology, ext4, Windows and trash cans.
OF_THE_SYSTEM = (
    "__macosx", "@eadir", "lost+found", "system volume information", "$recycle.bin", "#recycle",
)  # fmt: skip
OURS = "folders written by stresnet"
NAMED = 5  # files left out for one reason, in a message that names them

logger = logging.getLogger(__name__)


@dataclass
class FoundFiles:
    """The search for videos below some folders.

    Attributes:
        left_out: the files that are not videos, by the reason, as relative paths.
    """

    left_out: dict[str, list[str]] = field(default_factory=dict)

    def add(self, folder: Path, root: Path) -> list[Path]:
        """Look through a folder at any depth; return the videos in it.

        Hidden files and folders are left out, and so are folders that this program wrote, links to
        folders, and links that lead out of `root`.
        """
        leave_out = partial(self.leave_out, root=root)
        found = []
        for path in _walk(folder, leave_out):
            if problem := _problem_of_file(path, root):
                leave_out(path, problem=problem)
            else:
                found.append(path)
        return found

    def leave_out(self, path: Path, problem: str, *, root: Path) -> None:
        """Note a file or folder below `root` that is not looked at."""
        self.left_out.setdefault(problem, []).append(path.relative_to(root).as_posix())

    def log(self, place: Path, *, by_name: bool = False) -> None:
        """Say in one line how many files were left out, and why; or name the first of each."""
        if not self.left_out:
            return
        reasons = []
        for problem, names in self.left_out.items():
            shown = [printable(Path(name)) for name in sorted(names)[:NAMED]]
            more = f", {len(names) - NAMED} more" if len(names) > NAMED else ""
            which = f": {', '.join(shown)}{more}" if by_name else ""
            reasons.append(f"{problem} ({len(names)}{which})")
        logger.info("%s: left out: %s", printable(place), ", ".join(reasons))


def files_below(folder: Path) -> Iterator[Path]:
    """Files at any depth, except those that are hidden, the system's, ours, or behind a link."""
    return (path for path in _walk(folder, lambda path, problem: None) if not is_hidden(path.name))


def _walk(folder: Path, leave_out: Callable[[Path, str], None]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        for name in [*folders]:
            if problem := _problem_of_folder(Path(parent, name)):
                folders.remove(name)
                leave_out(Path(parent, name), problem)
        yield from (Path(parent, name) for name in names)


def require_others(outs: Iterable[Path], videos: Iterable[Path]) -> None:
    """Raise `UsageError` if a file to write is one of the files that are read."""
    read = {video.resolve() for video in videos}
    for out in outs:
        if out.resolve() in read:
            raise UsageError(
                f"{printable(out)}: is one of the files that are read", remedy="choose another name"
            )


def is_hidden(name: str) -> bool:
    """Whether a folder or a file is of no concern to people: hidden, or made by the system."""
    return name.startswith(".") or name.casefold() in OF_THE_SYSTEM


def is_ours(folder: Path) -> bool:
    """Whether this program wrote all of a folder: a run, a report, an explanation, a store."""
    return any((folder / mark).is_file() for mark in OUR_MARKS)


def with_ending(ending: str) -> str:
    """The reason for leaving out files with an ending that no video has, or with none."""
    return f"{ending} files" if ending else "files without an ending"


def _problem_of_folder(path: Path) -> str:
    if is_hidden(path.name):
        return "hidden folders"
    if path.is_symlink():
        return "links to folders"
    return OURS if is_ours(path) else ""


def _problem_of_file(path: Path, root: Path) -> str:
    if path.name.startswith("."):
        return "hidden files"
    if path.suffix.lower() not in VIDEO_ENDINGS:
        return with_ending(path.suffix.lower())
    if not path.is_file():
        return "broken links or devices"
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        return "links out of the folder"
    return ""


def find_videos(place: Path, *, by_name: bool = False) -> list[tuple[Path, str]]:
    """Find a video file, or the videos at any depth of a folder: (path, name), sorted by name.

    The place may be an address (see `stresnet.cloud`).

    Args:
        by_name: whether files that are left out are named in the log, or only counted.

    Raises:
        DatasetError: there is no such place, or no video in it.
    """
    if place.is_file() or (address_of(place) and place.suffix.lower() in VIDEO_ENDINGS):
        return [(place, place.name)]
    if address_of(place):
        names = [name for name in listing(place) if Path(name).suffix.lower() in VIDEO_ENDINGS]
        found = sorted((name, place / name) for name in names if not f"/{name}".count("/."))
    else:
        files = FoundFiles()
        inside = files.add(place, place)
        found = sorted((path.relative_to(place).as_posix(), path) for path in inside)
        files.log(place, by_name=by_name)
    if not found:
        is_there = bool(address_of(place)) or place.is_dir()
        raise DatasetError(
            f"{address_of(place) or place}: "
            f"{'there are no videos here' if is_there else 'no such file or folder'}",
            remedy="check the spelling",
        )
    return [(path, name) for name, path in found]


def as_written_here(folder: Path, path: str) -> str:
    r"""Return a path that a list in `folder` names, with / where the list has the \ of Windows."""
    if "\\" not in path or (folder / path).exists():
        return path
    return path.replace("\\", "/")


def as_spelt_on_disk(path: Path) -> Path:
    """Return a path in the Unicode form that exists: an é may be one character or two."""
    if path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        forms = (
            found / part,
            *(found / unicodedata.normalize(form, part) for form in ("NFC", "NFD")),
        )
        found = next((form for form in forms if form.exists()), found / part)
    return found if found.exists() else path
