"""Where a prepared video lies: a file of its own, or a part of a shard."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple


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
