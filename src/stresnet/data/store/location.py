"""Where prepared videos lie: one rule for every verb; each is a file, or a part of a shard.

$STRESNET_STORE/KEY/CLASS/clip.avi.zip      or, without that variable, below ./store
KEY = clips-1a2b3c4d                        the data's folder, and a hash of its whole path
KEY = clips-1a2b3c4d-128px-fast             prepared in another way than the paper's
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from stresnet.errors import UsageError
from stresnet.files import address_of
from stresnet.flow import AUTHORS, FAST, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE

LONGEST_NAME = 200  # bytes; file systems take 255, and the name grows while a file is written
VARIABLE = "STRESNET_STORE"


def default_store(
    data: str | Path, *, parameters: TVL1Parameters = AUTHORS, short_side: int = SHORT_SIDE
) -> Path:
    """The folder of a data set's prepared videos: one for each data set and preparation.

    Args:
        data: a folder of videos; or a file, such as a CSV list or a single video, which belongs to
            the folder that it lies in.

    Raises:
        UsageError: the data is an address.
    """
    if (address := address_of(data)) is not None:
        raise UsageError(f"{address}: has no store of its own", remedy="name one with --store")
    root = Path(data).resolve()
    if root.is_file():
        root = root.parent
    made = "" if short_side == SHORT_SIDE else f"-{short_side}px"
    if parameters != AUTHORS:
        digest = hashlib.sha256(repr(parameters).encode()).hexdigest()[:6]
        made += "-fast" if parameters == FAST else f"-flow-{digest}"
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    return Path(os.environ.get(VARIABLE) or "store") / f"{root.name or 'root'}-{key}{made}"


def store_path(store: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `store/CLASS/clip.avi.zip`; errors as in `key_of`."""
    return store / f"{key_of(name)}.zip"


def key_of(name: str) -> str:
    """What a video is called inside a store: its name, cut if it is too long for a file.

    The ending stays, so that clip.avi and clip.mp4 do not meet. Very long names are told apart by a
    hash.

    Raises:
        UsageError: the name is empty or leads out of a store.
    """
    relative = PurePosixPath(name)
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{name!r} cannot name a video, expected a path relative to its data")
    last = os.fsencode(relative.name)
    if len(last) > LONGEST_NAME:
        last = last[:LONGEST_NAME] + b"-" + hashlib.sha256(last).hexdigest()[:16].encode()
    return str(relative.parent / os.fsdecode(last))


class Slice(NamedTuple):
    """A prepared video inside a shard (see `pack`): `length` bytes of a tar, from `first` on."""

    path: Path
    first: int
    length: int
    name: str


Place = Path | Slice  # of a prepared video


class Window:
    """Part of a file, read as if it were a file of its own."""

    def __init__(self, file: BinaryIO, place: Slice) -> None:
        self._file, self._first, self._end = file, place.first, place.first + place.length
        file.seek(self._first)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file's."""
        base = {os.SEEK_SET: self._first, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._end}
        if (place := base[whence] + offset) < self._first:
            raise OSError(errno.EINVAL, "a place before the file's begin")
        return self._file.seek(place) - self._first

    def read(self, length: int = -1) -> bytes:
        """As a file's."""
        left = max(self._end - self._file.tell(), 0)
        return self._file.read(left if length < 0 else min(length, left))
