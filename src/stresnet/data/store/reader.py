"""Reads a prepared video, any part of it at the same cost; `format` describes the file."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.format import (
    BEGIN,
    COMMENT,
    DIGEST_LENGTH,
    FLOW_FORMAT,
    HEADER,
    INDEX,
    LOCAL,
    NO_MOTION,
    OFFSETS,
    ROW,
    VERSION,
    Index,
    Origin,
    Table,
    differences,
    digest,
)
from stresnet.data.store.jpeg import decode_grey, decode_rgb
from stresnet.data.store.location import Place, Slice, Window
from stresnet.data.video.decode import mean_step
from stresnet.errors import EnvironmentProblem, StoreError, printable

Indices = Sequence[int] | NDArray[np.integer[Any]]
Kind = Literal["rgb", "flow"]

_REMEDY = "delete it and run `stresnet prepare` again"
_PACK_AGAIN = "delete this shard and run `stresnet pack` again, or copy it again"
# All that json and struct raise on damaged bytes; only some OSErrors are damage.
_DAMAGE = (KeyError, OverflowError, TypeError, ValueError, struct.error)
_BAD_SEEK = (None, errno.EINVAL, errno.EOVERFLOW)  # a wrong offset


class Known(NamedTuple):
    """What the store's index says about a video."""

    seal: str
    preparation: Mapping[str, Any]


class StoredVideo:
    """A prepared video on disk; cheap to create and to pickle: nothing is read until it is needed.

    No file stays open between calls: a data set may hold any number of these, and any number of
    processes and threads may read them.

    Raises (every attribute and method):
        StoreError: the file is missing, damaged, or of another format version.
        EnvironmentProblem: the file cannot be read for another reason, such as missing permission.
    """

    def __init__(self, place: Place, known: Known | None = None) -> None:
        self.place, self._known = place, known

    def __repr__(self) -> str:
        return f"StoredVideo({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[StoredVideo], tuple[Place]]:
        return StoredVideo, (self.place,)

    @property
    def path(self) -> Path:
        """Its file, or the shard that it lies in."""
        return self.place.path if isinstance(self.place, Slice) else self.place

    @property
    def _remedy(self) -> str:
        return _PACK_AGAIN if isinstance(self.place, Slice) else _REMEDY

    @property
    def _shown(self) -> str:
        """What messages call it."""
        inside = f": {printable(Path(self.place.name))}" if isinstance(self.place, Slice) else ""
        return printable(self.path) + inside

    @cached_property
    def index(self) -> Index:
        """The content of `index.json`."""
        content = self.index_json()
        with self._blaming(INDEX):
            found = json.loads(content)
            origin = Origin(**found.pop("source"))
            times, warnings = tuple(found.pop("times")), tuple(found.pop("warnings"))
            preparation = dict(found.pop("preparation"))
            ours = {key: preparation.get(key) for key in FLOW_FORMAT}
            if not (differing := differences(ours, FLOW_FORMAT)):
                return Index(
                    origin=origin, times=times, warnings=warnings, preparation=preparation, **found
                )
        raise StoreError(
            f"{self._shown}: its flow is stored differently: {'; '.join(differing)}",
            remedy=self._remedy,
        )

    @cached_property
    def _table(self) -> Table:
        length = len(COMMENT % 0) + DIGEST_LENGTH
        with self._file() as file, self._blaming(OFFSETS):
            file.seek(max(file.seek(0, os.SEEK_END) - length, 0))
            place = re.fullmatch(rb"offsets (\d{15}) sha256 .{64}", file.read(), re.DOTALL)
            if place is None:
                file.seek(0)
                self._require_ours(file.read(BEGIN.size))
                raise ValueError("no table of offsets: it is cut off, or an older version made it")
            file.seek(int(place[1]))
            head = file.read(HEADER.size)
            version, frames, height, width, crc = HEADER.unpack(head)
            _intact(head[:-4], crc)
            if version == VERSION:
                return Table(frames, height, width, int(place[1]) + HEADER.size)
        raise StoreError(
            f"{self._shown}: format version {version}, expected {VERSION}", remedy=self._remedy
        )

    def _require_ours(self, begin: bytes) -> None:
        """Raise `StoreError` if a file that is damaged was never a prepared video."""
        if len(begin) == BEGIN.size and BEGIN.unpack(begin) != (b"PK", b"rgb/000000.jpg"):
            raise StoreError(
                f"{self._shown}: is not a prepared video",
                remedy="name one, NAME.zip, or a folder that holds nothing else",
            )

    @property
    def num_frames(self) -> int:
        return self._table.frames

    @property
    def height(self) -> int:
        return self._table.height

    @property
    def width(self) -> int:
        return self._table.width

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was lost when the video was decoded."""
        return self.index.warnings

    @property
    def imported(self) -> bool:
        """Whether it was made from another tool's pictures (see `formats.read`)."""
        return "imported_from" in self.index.preparation

    @property
    def preparation(self) -> Mapping[str, Any]:
        """How it was prepared (see `Index`)."""
        return self._known.preparation if self._known else self.index.preparation

    @property
    def seal(self) -> str:
        """SHA-256 of the store as it was written; equal seals, equal videos."""
        return self._known.seal if self._known else self._seal()

    def _seal(self) -> str:
        with self._file() as file, self._blaming("the seal"):
            file.seek(-DIGEST_LENGTH, os.SEEK_END)
            return "sha256 " + file.read().decode("ascii", "replace")

    @property
    def times(self) -> NDArray[np.float64]:
        """(N,) seconds after the first frame, strictly increasing."""
        return np.array(self.index.times)

    @property
    def fps(self) -> float:
        """Mean frames per second, without pauses; 0 for a single frame, which has no rate."""
        step = mean_step(self.times)
        return 1 / step if step else 0.0

    @property
    def duration(self) -> float:
        """Seconds from the first frame on, the last shown for the mean interval; 0 for just one."""
        times = self.times
        return float(times[-1] - times[0]) + mean_step(times)

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,H,W,3) uint8 RGB: any frames, in any order, with repeats.

        Raises:
            IndexError: an index is not in 0 ... N-1.
        """
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        self._decode("rgb", indices, out)
        return out

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,2,H,W) uint8 flow, x then y, in 40/255 pixels a step; field k: frame k -> k+1.

        A video of one frame has no field: any index gives no motion there.

        Raises:
            IndexError: an index is not in 0 ... N-2.
        """
        out = np.full((len(indices), 2, self.height, self.width), NO_MOTION, np.uint8)
        if self.num_frames > 1:
            self._decode("flow", indices, out)
        return out

    def index_json(self) -> bytes:
        """`index.json` as it is stored."""
        table = self._table
        with self._file() as file, self._blaming(INDEX):  # the next member after the table
            file.seek(table.start + (2 * table.frames - 1) * ROW.size)
            crc, length, name_length, extra_length = LOCAL.unpack(file.read(LOCAL.size))
            file.seek(name_length + extra_length, os.SEEK_CUR)
            return _intact(file.read(length), crc)

    def jpegs(self, kind: Kind, indices: Iterable[int] | None = None) -> Iterator[bytes]:
        """Pictures as they are stored: those of `indices`, or all in order.

        Raises:
            IndexError: an index is not in 0 ... count - 1.
        """
        table = self._table
        count = table.frames if kind == "rgb" else table.frames - 1
        first = 0 if kind == "rgb" else table.frames
        with self._file() as file:
            for index in range(count) if indices is None else map(int, indices):
                if not 0 <= index < count:
                    raise IndexError(f"{self._shown}: {kind} {index}, expected < {count}")
                with self._blaming(f"{kind}/{index:06d}.jpg"):
                    file.seek(table.start + (first + index) * ROW.size)
                    start, length, crc = ROW.unpack(file.read(ROW.size))
                    file.seek(start)
                    jpeg = _intact(file.read(length), crc)
                yield jpeg

    def _decode(self, kind: Kind, indices: Indices, out: NDArray[np.uint8]) -> None:
        decode = decode_rgb if kind == "rgb" else decode_grey
        wanted = np.asarray(indices, int)
        distinct = np.unique(wanted)
        for index, jpeg in zip(distinct, self.jpegs(kind, distinct), strict=True):
            first, *others = np.flatnonzero(wanted == index)
            with self._blaming(f"{kind}/{index:06d}.jpg"):
                decode(jpeg, out[first])
            out[others] = out[first]

    def check(self, preparation: Mapping[str, Any]) -> None:
        """Raise `StoreError`, naming the differences, if the store was prepared differently."""
        expected = json.loads(json.dumps(dict(preparation)))
        if told := differences(self.index.preparation, expected):
            raise StoreError(
                f"{self._shown}: prepared differently: {'; '.join(told)}", remedy=self._remedy
            )

    def verify(self) -> None:
        """Read the whole file; raise `StoreError`, naming the member, if a single bit changed."""
        with self._blaming("the file"):
            seal = self._seal().removeprefix("sha256 ").encode()
            with self._file() as file:
                intact = seal == digest(file)
        if not intact:
            for kind in get_args(Kind):
                deque(self.jpegs(kind), maxlen=0)  # the damaged one is named
            raise self._damaged("the table of contents", "its checksum differs")
        _ = self.index

    @contextmanager
    def _file(self) -> Iterator[BinaryIO | Window]:
        with self._blaming("the file"):
            file = self.path.open("rb")
        with file:
            yield Window(file, self.place) if isinstance(self.place, Slice) else file

    @contextmanager
    def _blaming(self, part: str) -> Iterator[None]:
        """Turn exceptions into clear errors: only damage is called damage."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError(
                f"{self._shown}: no such file",
                remedy=_PACK_AGAIN if isinstance(self.place, Slice) else "run `stresnet prepare`",
            ) from error
        except OSError as error:
            if error.errno in _BAD_SEEK:
                raise self._damaged(part, error) from error
            raise EnvironmentProblem(
                f"{self._shown}: cannot be read ({error.strerror})",
                remedy="check its permissions, the disk, and the limit of open files (ulimit -n)",
            ) from error
        except _DAMAGE as error:
            raise self._damaged(part, error) from error

    def _damaged(self, part: str, reason: object) -> StoreError:
        return StoreError(f"{self._shown}: {part} is damaged ({reason})", remedy=self._remedy)


def _intact(content: bytes, crc: int) -> bytes:
    if zlib.crc32(content) != crc:
        raise ValueError("its checksum differs")
    return content
