"""The trajectories of one video on disk, read and written block by block.

    NAME.npz                      not compressed; numpy.load reads it, nothing is unpickled
    ├── descriptors-000000.npy    (n, 426) float16: columns 10 ... 435, some thousand trajectories
    ├── descriptors-000001.npy    ...
    ├── info.npy                  (N, 10) float32: columns 0 ... 9 of all
    └── index.json                how many, of which video, how they were made

The text that the authors' program prints, 436 numbers per line, can be read too, also gzipped:
 NAME.txt, NAME.txt.gz, with or without the video's own ending (`find_features`).
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stresnet.data.store.location import store_path
from stresnet.errors import StoreError, printable
from stresnet.files import DAMAGE, atomic_write
from stresnet.idt.layout import (
    COLUMNS,
    ENDS,
    LENGTH,
    NUM_COLUMNS,
    Float32,
)

FORMAT = 1
BLOCK = 4096  # trajectories, about
INDEX, INFO, DESCRIPTORS = "index.json", "info.npy", "descriptors-{:06d}.npy"
TEXT_ENDINGS = (".txt", ".txt.gz")


def feature_path(folder: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `folder/CLASS/clip.avi.npz`.

    Raises:
        UsageError: the name is empty or leads out of the folder.
    """
    return store_path(folder, name).with_suffix(".npz")


def find_features(folder: Path, name: str) -> Path:
    """Find the file of a video's trajectories: ours, else the authors' program's.

    Raises:
        StoreError: there is none.
    """
    ours = feature_path(folder, name)
    stem = ours.with_suffix("")
    theirs = [
        base.with_name(base.name + ending)
        for base in (stem, stem.with_suffix(""))
        for ending in TEXT_ENDINGS
    ]
    for path in (ours, *theirs):
        if path.is_file():
            return path
    raise StoreError(
        f"{printable(ours)}: no such file", remedy="run `stresnet idt extract` on the videos"
    )


def write_features(
    path: Path, blocks: Iterable[Float32], index: Callable[[], Mapping[str, Any]]
) -> None:
    """Write the rows of blocks (n, 436), whole or not at all.

    Args:
        index: called after the last block, for the facts to store. Its "frames" is the video's
            length, from which column 9 (place in time) is filled in.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    infos = [np.zeros((0, COLUMNS["info"].stop), np.float32)]
    with atomic_write(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for number, block in enumerate(_gathered(blocks)):
            infos.append(block[:, COLUMNS["info"]].copy())
            described = block[:, COLUMNS["info"].stop :].astype(np.float16)
            _write_array(archive, DESCRIPTORS.format(number), described)
        facts = dict(index())
        info = np.concatenate(infos)
        info[:, 9] = np.clip((info[:, 0] - LENGTH / 2) / facts["frames"], 0, ENDS)
        _write_array(archive, INFO, info)
        facts |= {"format": FORMAT, "trajectories": len(info)}
        # Members without a date: the same trajectories give the same bytes.
        archive.writestr(zipfile.ZipInfo(INDEX), json.dumps(facts, indent=1) + "\n")


def _gathered(blocks: Iterable[Float32]) -> Iterator[Float32]:
    """Regroup the rows into blocks of about `BLOCK`."""
    waiting: list[Float32] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= BLOCK:
            yield np.concatenate(waiting)
            waiting = []
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)


def read_index(path: Path) -> dict[str, Any]:
    """Read the facts in a file of ours: "trajectories", "frames", "source", "warnings", ...

    Raises:
        StoreError: the file is missing, damaged or of another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts: dict[str, Any] = json.loads(archive.read(INDEX))
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']}, expected {FORMAT}")
            return facts
    except DAMAGE as error:
        raise _damaged(path, error) from error


def count_trajectories(path: Path) -> int:
    """Count the trajectories of a file, ours or the authors' program's.

    Raises:
        StoreError: the file is missing or damaged.
    """
    if path.suffix == ".npz":
        return int(read_index(path)["trajectories"])
    return sum(map(len, iter_blocks(path)))


def iter_blocks(path: Path) -> Iterator[Float32]:
    """Yield the trajectories of a file, (n, 436) float32 at a time, n about 4096.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        yield from _our_blocks(path) if path.suffix == ".npz" else _text_blocks(path)
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _our_blocks(path: Path) -> Iterator[Float32]:
    with zipfile.ZipFile(path) as archive:
        info = _read_array(archive, INFO)
        begin = number = 0
        while begin < len(info):
            described = _read_array(archive, DESCRIPTORS.format(number))
            end = begin + len(described)
            if end == begin or end > len(info):
                raise ValueError(f"{len(info)} trajectories, but {end} descriptors")
            yield np.concatenate([info[begin:end], described], axis=1, dtype=np.float32)
            begin, number = end, number + 1


def _text_blocks(path: Path) -> Iterator[Float32]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="ascii") as file:
        while lines := list(islice(file, BLOCK)):
            block = np.array([line.split() for line in lines], np.float32)
            if block.ndim != 2 or block.shape[1] != NUM_COLUMNS or not np.isfinite(block).all():
                raise ValueError(f"expected {NUM_COLUMNS} finite numbers in every line")
            yield block


def _write_array(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with archive.open(zipfile.ZipInfo(name), "w") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(name) as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _damaged(path: Path, reason: object) -> StoreError:
    return StoreError(
        f"{printable(path)}: the trajectories cannot be read ({reason})",
        remedy="delete it and run `stresnet idt extract` again",
    )
