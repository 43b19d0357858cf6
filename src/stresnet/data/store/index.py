"""The index of a store: what is known about each prepared video without opening it.

    STORE/index.sqlite          seal, origin, preparation, warnings, and how its source and its
                                store looked (size, times of change, inode) when their contents
                                were compared
    STORE/index-2-of-8.sqlite   the same, of the process that prepares with --part 2/8
    SHARDS/shards.sqlite        the same of packed videos, and where each lies (see `pack`)

Only the process that drives `prepare` writes it, so that no two machines write one file. A file
that looks different, such as a copy, is compared by its content again. What only the content shows,
such as a bit that a disk has flipped, is found when the picture is read (each has a checksum), by
`stresnet prepare --verify`, and by `stresnet check`. An index that is lost or damaged costs time
and nothing else; `stresnet check --index` writes it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from stresnet.cloud import facts, listing
from stresnet.data.store.location import Place, Slice, key_of, store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, StoreError
from stresnet.files import address_of, atomic_write

FILE = "index.sqlite"
PARTS = "index*.sqlite"
SHARDS_FILE = "shards.sqlite"
SHARD_NAME = re.compile(r"shard-(\d{5,})\.tar")
VERSION = 1
SETTLED_SECONDS = 2.0  # a younger file may change once more without a sign: clocks are coarse
_TABLES = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE IF NOT EXISTS preparations (digest TEXT PRIMARY KEY, content TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS videos (
    name BLOB PRIMARY KEY, seal TEXT, sha256 TEXT, preparation TEXT, warnings TEXT,
    source TEXT, store TEXT, shard TEXT, first INTEGER, length INTEGER
) WITHOUT ROWID;
"""


class Look(NamedTuple):
    """What can be seen of a file without reading it."""

    size: int
    modified: int  # ns
    changed: int  # ns; unlike `modified`, it cannot be set
    inode: int

    @classmethod
    def of(cls, path: Path, facts: Callable[[Path], tuple[int, int] | None] = facts) -> Look | None:
        """None if there is no such file; for an object, `facts` are its size and version."""
        if address_of(path) is not None:
            found = facts(path)
            return cls(found[0], 0, 0, found[1]) if found else None
        try:
            status = path.stat()
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    @property
    def settled(self) -> bool:
        return time.time() - max(self.modified, self.changed) / 1e9 > SETTLED_SECONDS


@dataclass(frozen=True, slots=True)
class Indexed:
    """One prepared video, as it was when it was found intact and made from its source.

    Attributes:
        seal, preparation, warnings: those of the store.
        sha256: of its source's content.
        source: how the source looked; None if it was gone.
        store: how the store looked; None for a packed video.
        shard: the file, first byte and length of a packed video.
    """

    seal: str
    sha256: str
    preparation: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    source: Look | None = None
    store: Look | None = None
    shard: tuple[str, int, int] | None = None

    @classmethod
    def of(cls, stored: StoredVideo, *, source: Look | None, store: Look | None) -> Indexed:
        """What is worth knowing about an intact store."""
        index = stored.index
        sha256 = index.origin.sha256
        return cls(stored.seal, sha256, index.preparation, index.warnings, source, store)


def preparation_digest(preparation: Mapping[str, Any]) -> str:
    """Equal for videos that were prepared alike."""
    content = json.dumps(dict(preparation), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


# --- reading ------------------------------------------------------------------------------------


def read_index(store: Path) -> Iterator[tuple[str, Indexed]]:
    """What is known about a folder's prepared videos, by name; damaged parts are left out.

    A name may come several times, from several parts; at most one of these matches its files.
    """
    for part in sorted(store.glob(PARTS)):
        with suppress(sqlite3.Error, ValueError, TypeError, KeyError):
            yield from _rows(part)


def is_packed(store: Path) -> bool:
    """Whether a folder holds shards, written by `pack`."""
    return (store / SHARDS_FILE).is_file()


def read_packed(shards: Path) -> Mapping[str, Indexed]:
    """The packed videos of a folder, by name.

    Raises:
        StoreError: the index is damaged.
    """
    return _packed(shards, Look.of(shards / SHARDS_FILE))


@lru_cache(maxsize=2)
def _packed(shards: Path, look: Look | None) -> Mapping[str, Indexed]:
    try:
        return {key: each for key, each in _rows(shards / SHARDS_FILE) if each.shard}
    except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{shards / SHARDS_FILE}: is damaged ({error})",
            remedy="delete it, and run `stresnet pack` again, or copy it again",
        ) from error


def packed_place(shards: Path, key: str) -> Slice:
    """Where a packed video lies.

    Raises:
        KeyError: there is none of this name.
        StoreError: the index is damaged.
    """
    inside = read_packed(shards)[key].shard
    assert inside, "others are not read"
    return Slice(shards / inside[0], inside[1], inside[2], key)


def place_of(store: Path, name: str) -> Place:
    """Where the prepared video of this name lies: a file of its own, or part of a shard.

    Raises:
        StoreError: the folder holds shards, and the video is in none of them.
    """
    if not is_packed(store):
        return store_path(store, name)
    try:
        return packed_place(store, key_of(name))
    except KeyError as error:
        raise StoreError(
            f"{store}: {name} is not among the packed videos",
            remedy="prepare it into the store that was packed, then `stresnet pack` again",
        ) from error


def find_stores(place: Path) -> list[tuple[Place, str]]:
    """Find a prepared video, or those at any depth of a folder: (place, video's name), sorted.

    The folder may hold shards, or be the address of a folder of single prepared videos.

    Raises:
        DatasetError: there is no such place, or no prepared video in it.
    """
    if place.is_file():
        return [(place, place.name.removesuffix(".zip"))]
    if is_packed(place):
        return [(packed_place(place, name), name) for name in sorted(read_packed(place))]
    if address_of(place):
        names = [name for name in listing(place) if name.endswith(".zip")]
    else:
        names = [path.relative_to(place).as_posix() for path in place.rglob("*.zip")]
    if not names:
        raise DatasetError(
            f"{place}: there are no prepared videos here", remedy="run `stresnet prepare`"
        )
    return [(place / name, name.removesuffix(".zip")) for name in sorted(names)]


def is_stored(store: Path, name: str) -> bool:
    """Whether there is a prepared video of this name."""
    if is_packed(store):
        return key_of(name) in read_packed(store)
    return store_path(store, name).is_file()


def _rows(file: Path) -> Iterator[tuple[str, Indexed]]:
    # Not for reading only: what a killed writer left has to be undone first.
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as index:
        if index.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise ValueError("another version wrote it")
        texts = dict(index.execute("SELECT digest, content FROM preparations"))
        preparations = {digest: json.loads(text) for digest, text in texts.items()}
        for row in index.execute("SELECT * FROM videos"):
            name, seal, sha256, made, warnings, source, store, shard, first, length = row
            yield (
                os.fsdecode(name),
                Indexed(
                    seal,
                    sha256,
                    preparations[made],
                    tuple(json.loads(warnings)) if warnings else (),
                    Look(*map(int, source.split())) if source else None,
                    Look(*map(int, store.split())) if store else None,
                    _inside(shard, first, length) if shard else None,
                ),
            )


def _inside(shard: str, first: int, length: int) -> tuple[str, int, int]:
    """Raise `ValueError` for what is not part of a shard: shards come from elsewhere, too."""
    if not SHARD_NAME.fullmatch(shard) or min(first, length) < 0:
        raise ValueError(f"{shard!r} is not a shard's name, or {first}, {length} not a place in it")
    return shard, first, length


# --- writing ------------------------------------------------------------------------------------


def add_to_index(store: Path, found: Mapping[str, Indexed], *, part: str = FILE) -> None:
    """Add to a folder's index, except videos whose source is so recent that it may change unseen.

    If the folder cannot be written, only the next start is slower.
    """
    settled = {name: each for name, each in found.items() if not each.source or each.source.settled}
    if not settled:
        return
    try:
        _write(store / part, settled)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # not writable, or another one writes
            return
        (store / part).unlink(missing_ok=True)  # damaged
        with suppress(sqlite3.Error):
            _write(store / part, settled)


def rebuild_index(store: Path, found: Mapping[str, Indexed]) -> None:
    """Write a folder's index again, for videos found intact; what it knew of their sources stays.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    sources = {(name, each.store): each.source for name, each in read_index(store)}
    with atomic_write(store / FILE) as partial:
        write_rows(
            partial,
            {
                name: replace(each, source=sources.get((name, each.store)))
                for name, each in found.items()
            },
        )
    for part in store.glob(PARTS):
        if part.name != FILE:
            part.unlink()


def write_rows(file: Path, found: Mapping[str, Indexed]) -> None:
    """Write rows to an index, all or none of them; it is created if missing.

    Raises:
        EnvironmentProblem: it is damaged, or cannot be written.
    """
    try:
        _write(file, found)
    except sqlite3.Error as error:
        raise EnvironmentProblem(
            f"{file}: cannot be written ({error})", remedy="free space, then run it again"
        ) from error


def _write(file: Path, found: Mapping[str, Indexed]) -> None:
    digests = {name: preparation_digest(each.preparation) for name, each in found.items()}
    made = {digests[name]: json.dumps(dict(each.preparation)) for name, each in found.items()}
    with closing(sqlite3.connect(file)) as index, index:
        index.executescript(_TABLES)
        index.executemany("INSERT OR REPLACE INTO preparations VALUES (?, ?)", made.items())
        index.executemany(
            "INSERT OR REPLACE INTO videos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    os.fsencode(name),
                    each.seal,
                    each.sha256,
                    digests[name],
                    json.dumps(each.warnings) if each.warnings else None,
                    " ".join(map(str, each.source)) if each.source else None,
                    " ".join(map(str, each.store)) if each.store else None,
                    *(each.shard or (None, None, None)),
                )
                for name, each in found.items()
            ),
        )
