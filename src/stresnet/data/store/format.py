"""The file of a prepared video: frames and flow as JPEGs in a ZIP that is not compressed.

    NAME.zip
    ├── rgb/000000.jpg     frame 0                                           N of them
    ├── flow/000000.jpg    flow of frame 0 -> 1, grey: horizontal on top,    N - 1
    │                      vertical below; 128 is no motion
    ├── offsets.bin        where each picture begins: a read costs the same in any video
    ├── index.json         sizes, times, origin ("source"), how it was prepared
    └── (ZIP comment)      where offsets.bin is; SHA-256 of every byte before it

`unzip` and picture viewers read it. The same video gives the same bytes, on any processor.
Why so: docs/decisions/0003-store.md.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from stresnet.data.store.location import Window
from stresnet.flow.quantize import BOUND

VERSION = 1
NO_MOTION = 128  # the byte of 0 pixels per frame

INDEX, OFFSETS = "index.json", "offsets.bin"
HEADER = struct.Struct("<5I")  # of offsets.bin: version, frames, height, width; CRC-32 of these
ROW = struct.Struct("<QII")  # a picture: first byte, length, CRC-32; all frames, then all flow
LOCAL = struct.Struct("<14xII4xHH")  # ZIP's head of a member: CRC-32, lengths of content and names
BEGIN = struct.Struct("<2s28x14s")  # of the file: ZIP's mark, the first member's name
COMMENT = b"offsets %015d sha256 "  # then the digest
DIGEST_LENGTH = 64  # hexadecimal digits

# What the bytes of a stored flow field mean; every index has it. Tools differ in all of it, and
# their files do not say so: denseflow's bound is 32 by default, its files count from 0, others
# normalise each picture. A network that is trained on one and shown another fails silently, so a
# store with anything else here is refused.
FLOW_FORMAT: Mapping[str, Any] = {
    "flow_bound": BOUND,  # pixels per frame
    "flow_levels": "round(255 (v + bound) / (2 bound)), clipped to 0 ... 255",
    "flow_channels": "x (right), then y (down)",
    "flow_alignment": "field k from frame k to k+1, both counted from 0",
}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return `key is ..., expected ...` for each key whose values differ; a missing one is None."""
    return [
        f"{key} is {found.get(key)!r}, expected {expected.get(key)!r}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]


@dataclass(frozen=True)
class Origin:
    """The video file that a store was made from: its name, and the SHA-256 of its content."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Index:
    """The content of `index.json`.

    Stores with equal `preparation` may be mixed; `libraries` is only for the record. `preparation`
    also says what the flow's bytes mean, always `FLOW_FORMAT`: other stores are refused.
    """

    version: int
    origin: Origin
    height: int  # pixels
    width: int  # pixels
    times: tuple[float, ...]  # seconds after the first frame, one a frame
    preparation: Mapping[str, Any]
    libraries: Mapping[str, str]
    warnings: tuple[str, ...]


class Table(NamedTuple):
    """The head of `offsets.bin`, and the place in the file where its rows begin."""

    frames: int
    height: int
    width: int
    start: int


def digest(file: BinaryIO | Window) -> bytes:
    """SHA-256, in hexadecimal digits, of all but the last 64 bytes."""
    sha256 = hashlib.sha256()
    left = file.seek(0, os.SEEK_END) - DIGEST_LENGTH
    file.seek(0)
    while left > 0 and (block := file.read(min(left, 1 << 20))):
        sha256.update(block)
        left -= len(block)
    return sha256.hexdigest().encode()
