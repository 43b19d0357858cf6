"""What SOURCE on the command line means: video files, a camera, or a stream of the network."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.video.container import printable
from stresnet.errors import DatasetError, UsageError

VIDEO_ENDINGS = (
    *(".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm"),
    *(".3gp", ".m2ts", ".mpeg", ".mpg", ".mts", ".ts"),
)
LIST_ENDINGS = (".txt", ".lst")
STREAM_SCHEMES = ("rtsp", "rtsps")


@dataclass(frozen=True)
class VideoInput:
    """A video file, and what its outputs are called: a relative path with `/`."""

    path: Path
    name: str


@dataclass(frozen=True)
class LiveInput:
    """A camera's number ("0"), or the address of a stream ("rtsp://...")."""

    address: str

    @property
    def is_camera(self) -> bool:
        return self.address.isdecimal()


def find_inputs(source: str, *, allow_network: bool = False) -> LiveInput | tuple[VideoInput, ...]:
    """The videos that a source stands for, in order.

    A file is itself; a folder, the videos at any depth of it; a pattern with `*`, `?` or `**`, what
    matches; a `.txt` file, its lines, each a file, folder or pattern relative to the list's folder
    (empty lines and those from `#` are left out). A number is a camera ("./0" is a file). Nothing
    is opened here: a file that is not there is found out when it is read.

    Args:
        allow_network: rtsp:// addresses may be opened.

    Raises:
        UsageError: an address that may not be opened.
        DatasetError: no video is there, or a list cannot be read.
    """
    if source.isdecimal():
        return LiveInput(source)
    if "://" in source:
        return _stream(source, allow_network)
    path = Path(source)
    if path.suffix.lower() in LIST_ENDINGS:
        return _listed(path)
    return _videos(source)


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
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise DatasetError(
            f"{printable(path)}: lists no video", remedy="write one path on each line"
        )
    return tuple(
        video for entry in entries for video in _videos(str(path.parent / Path(entry)), entry)
    )


def _videos(source: str, name: str = "") -> tuple[VideoInput, ...]:
    path = Path(source)
    if path.is_dir():
        return tuple(VideoInput(video, name) for video, name in find_videos(path))
    if path.exists() or not glob.has_magic(source):
        return (VideoInput(path, _inside(name or path.name)),)
    matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 Path's takes no "/a/*"
    found = [Path(match) for match in matches]
    if not found:
        raise DatasetError(f"{source}: matches no file", remedy="check the pattern")
    return tuple(VideoInput(match, _inside(match)) for match in found if match.is_file())


def _inside(path: str | Path) -> str:
    """A relative path that leads nowhere but down."""
    return "/".join(part for part in Path(path).parts if part not in ("..", ".", Path(path).anchor))


def find_videos(place: Path) -> list[tuple[Path, str]]:
    """A video file, or the videos at any depth of a folder: (path, name) each, sorted by name.

    Raises:
        DatasetError: there is no such place, or no video in it.
    """
    if place.is_file():
        return [(place, place.name)]
    found = sorted(
        (path.relative_to(place).as_posix(), path) for path in videos_below(place, place)
    )
    if not found:
        raise DatasetError(f"{place}: there are no videos here", remedy="check the spelling")
    return [(path, name) for name, path in found]


def videos_below(folder: Path, root: Path) -> Iterator[Path]:
    """Video files at any depth of `folder`, no hidden ones and none that lie outside `root`."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            is_video = path.suffix.lower() in VIDEO_ENDINGS and not name.startswith(".")
            if is_video and path.is_file() and _stays_inside(path, root):
                yield path


def _stays_inside(path: Path, root: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(root.resolve())
