"""Prepared videos -> shards: tars of about a gigabyte, read without unpacking.

    SHARDS/shard-00000.tar    CLASS/clip.avi.zip, ...: each as `prepare` wrote it, seal and all
    SHARDS/shards.sqlite      where each lies, and what an index says about it

A million small files burden file servers and object stores; three thousand tars do not. `tar` and
WebDataset read them, too. What is packed stays where it is: packing again adds the videos that are
new or were prepared again, in further shards.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from stresnet.cloud import fetch, fetched, listing, records, sent
from stresnet.data.store.index import (
    PARTS,
    SHARD_NAME,
    SHARDS_FILE,
    Indexed,
    find_stores,
    is_packed,
    read_index,
    read_packed,
    write_rows,
)
from stresnet.data.store.location import Slice, key_of
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError, UsageError
from stresnet.files import (
    address_of,
    atomic_write,
    one_spelling,
    remove_stale_partials,
    require_writable,
)
from stresnet.jobs import JobReport
from stresnet.progress import OnProgress, Progress, silent

SHARD_BYTES = 1_000_000_000
BLOCK = 512  # of tars
SHARD = "shard-{:05d}.tar"


def pack(
    store: str | Path,
    out: str | Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Pack prepared videos into shards. Safe to interrupt: the same call resumes.

    Args:
        store: a folder of single prepared videos, or its address.
        out: folder of the shards, or its address; each shard is made on this disk and sent whole.
        shard_bytes: a shard is closed when it has this many bytes.

    Returns:
        The names packed now, those packed before, and (name, reason) of damaged ones, which are
        left out.

    Raises:
        UsageError: `store` holds shards already, or `shard_bytes` is less than 1.
        DatasetError: there is no prepared video in `store`.
        EnvironmentProblem: the disk is full, or `out` cannot be written or reached.
    """
    store, out = Path(store), Path(out)
    if is_packed(store) or shard_bytes < 1:
        raise UsageError(
            f"{store}: holds shards already" if is_packed(store) else f"shards of {shard_bytes}",
            remedy="name a folder that `stresnet prepare` filled, and at least 1 byte",
        )
    if one_spelling(store) == one_spelling(out):
        raise UsageError(f"{out}: is the store itself", remedy="name another folder for the shards")
    found = {name: place for place, name in find_stores(store) if isinstance(place, Path)}
    failures: list[tuple[str, str]] = []
    new: list[str] = []
    with records(out, SHARDS_FILE) as notes:
        require_writable(notes, mark=False)
        if address_of(out) is None:
            remove_stale_partials(out / SHARD.format(number) for number in range(len(found)))
        packed = _still_there(read_packed(notes), out) if is_packed(notes) else {}
        seals = _seals(store, found)
        waiting = [n for n in found if n not in packed or packed[n].seal != seals.get(n)]
        number = _next_number(notes)
        while waiting:
            name = SHARD.format(number)
            with sent(out / name) as file:
                rows, bad = _write_shard(file, waiting, found, shard_bytes)
                if not rows:
                    file.unlink()
            failures += bad
            if rows:
                write_rows(notes / SHARDS_FILE, rows)
            new += rows
            del waiting[: len(rows) + len(bad)]
            number += 1
            on_progress(Progress(len(new), len(new) + len(waiting), name))
    skipped = found.keys() & packed.keys() - {*new, *(name for name, _ in failures)}
    return JobReport(tuple(sorted(new)), tuple(sorted(skipped)), tuple(sorted(failures)))


def _write_shard(
    file: Path, names: list[str], found: Mapping[str, Path], most: int
) -> tuple[dict[str, Indexed], list[tuple[str, str]]]:
    """Write `names` until the shard is full; return their rows, and (name, reason) of failures."""
    rows: dict[str, Indexed] = {}
    bad: list[tuple[str, str]] = []
    with atomic_write(file) as partial, partial.open("wb") as tar:
        for name in names:
            if tar.tell() >= most:
                break
            begin = tar.tell()
            try:
                with fetched(found[name]) as stored:
                    rows[name] = _append(tar, partial, stored, name, file.name)
            except StoreError as error:
                bad.append((name, str(error)))
                tar.seek(begin)
                tar.truncate()
        tar.write(bytes(2 * BLOCK))
    return rows, bad


def _append(tar: BinaryIO, partial: Path, stored: Path, name: str, shard: str) -> Indexed:
    """Add a prepared video to a tar, and read it back.

    Raises:
        StoreError: it is missing or damaged.
    """
    size = stored.stat().st_size if stored.exists() else 0
    member = tarfile.TarInfo(f"{name}.zip")  # its own date, 1970: equal stores give equal bytes
    member.size = size
    tar.write(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    first = tar.tell()
    if size:
        with stored.open("rb") as content:
            shutil.copyfileobj(content, tar, 1 << 20)
    tar.write(bytes(-size % BLOCK))
    tar.flush()
    packed = StoredVideo(Slice(partial, first, size, name))
    try:
        packed.verify()
    except StoreError:
        StoredVideo(stored).verify()  # the source is to blame, as a rule
        raise
    return replace(Indexed.of(packed, source=None, store=None), shard=(shard, first, size))


def _seals(store: Path, found: Mapping[str, Path]) -> dict[str, str]:
    """The seals that can be known, by name; those at an address come from its index."""
    if address_of(store) is not None:
        with records(store, PARTS) as notes:
            return {key_of(name): each.seal for name, each in read_index(notes)}
    seals = {}
    for name, path in found.items():
        with suppress(StoreError):
            seals[name] = StoredVideo(path).seal
    return seals


def _still_there(rows: Mapping[str, Indexed], out: Path) -> dict[str, Indexed]:
    """The rows whose shards are there and not cut off."""
    sizes = _sizes(out)
    return {
        name: each
        for name, each in rows.items()
        if each.shard and sizes.get(each.shard[0], 0) >= each.shard[1] + each.shard[2]
    }


def _next_number(notes: Path) -> int:
    """The number after those in the index: a shard that a killed run left is written again."""
    packed = read_packed(notes).values() if is_packed(notes) else ()
    names = {each.shard[0] for each in packed if each.shard}
    return max((int(found[1]) + 1 for n in names if (found := SHARD_NAME.match(n))), default=0)


def _sizes(folder: Path) -> dict[str, int]:
    """Sizes of the shards and the index, by name."""
    if address_of(folder) is not None:
        sizes = {name: size for name, (size, _) in listing(folder).items()}
    else:
        sizes = {path.name: path.stat().st_size for path in folder.glob("shard*")}
    return {
        name: size
        for name, size in sizes.items()
        if name == SHARDS_FILE or SHARD_NAME.fullmatch(name)
    }


# --- reading shards of an object store ----------------------------------------------------------


def cached(store: Path, cache: Path | None, *, on_progress: OnProgress = silent) -> Path:
    """Copy missing shards to a disk of this machine; return the folder to read from.

    Training reads videos in random order, so it needs all shards from the first steps on. Of
    several processes on a machine, one copies. Safe to interrupt.

    Args:
        store: the shards' folder, or its address; anything else is returned as it is, unless there
            is a `cache`.
        cache: the folder for all copies; None: nothing is copied.

    Raises:
        UsageError: there is no `cache` for an address, or there are no shards to copy.
        EnvironmentProblem: the disk is full, or the address cannot be reached.
    """
    address = address_of(store)
    if cache is None:
        if address is None:
            return store
        raise UsageError(
            f"{address}: prepared videos are read from a disk", remedy="name one with --cache DIR"
        )
    sizes = _sizes(store)
    if SHARDS_FILE not in sizes:
        raise UsageError(
            f"{address or store}: holds no shards, and single videos are not copied",
            remedy=f"stresnet pack {address or store} --out SHARDS, and give --store SHARDS",
        )
    key = hashlib.sha256((address or str(store.resolve())).encode()).hexdigest()[:8]
    here = cache / f"{store.name}-{key}"
    require_writable(here, mark=False)
    with FileLock(here / ".lock"):
        there = _sizes(here)
        # The index last, and always: it may have grown.
        wanted = [name for name, size in sorted(sizes.items()) if there.get(name) != size]
        wanted = [name for name in wanted if name != SHARDS_FILE] + [SHARDS_FILE]
        for number, name in enumerate(wanted):
            if address is None:
                with atomic_write(here / name) as partial:
                    shutil.copyfile(store / name, partial)
            else:
                fetch(store / name, here / name)
            on_progress(Progress(number + 1, len(wanted), name))
    return here
