"""Writes a prepared video, block by block; `format` describes the file."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.format import (
    COMMENT,
    DIGEST_LENGTH,
    FLOW_FORMAT,
    HEADER,
    INDEX,
    OFFSETS,
    ROW,
    VERSION,
    Origin,
    digest,
)
from stresnet.data.store.jpeg import encode_flow, encode_rgb
from stresnet.errors import StoreError
from stresnet.files import atomic_write


class StoreWriter:
    """Takes the blocks of one video; given out by `store_writer`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._times: list[float] = []
        self._height = self._width = 0
        self._rows: dict[str, list[bytes]] = {"rgb": [], "flow": []}
        self.warnings: list[str] = []

    def add_frames(self, frames: NDArray[np.uint8], times: Sequence[float]) -> None:
        """Append frames (n,H,W,3) uint8 RGB and their times (n,) in seconds.

        Raises:
            StoreError: the size differs from the earlier frames', or times are missing.
        """
        if len(frames) != len(times):
            raise StoreError(
                f"{len(frames)} frames and {len(times)} times, expected a time for each"
            )
        for frame, time in zip(frames, times, strict=True):
            self.add_frame_jpeg(encode_rgb(frame), frame.shape[:2], time)

    def add_frame_jpeg(self, jpeg: bytes, size: tuple[int, ...], time: float) -> None:
        """Append a frame that is a JPEG already, of size (H, W) pixels; its bytes are kept.

        Raises:
            StoreError: the size differs from the earlier frames'.
        """
        height, width = size
        if not self._times:
            self._height, self._width = height, width
        if (height, width) != (self._height, self._width):
            raise StoreError(
                f"frame {len(self._times)} has {width}x{height} pixels, "
                f"expected {self._width}x{self._height} as the first"
            )
        self._add_picture("rgb", jpeg)
        self._times.append(float(time))

    def add_flow(self, flow: NDArray[np.uint8]) -> None:
        """Append flow fields (n,2,H,W) uint8, x then y, each from a frame to the next one.

        Raises:
            StoreError: the size differs from the frames'.
        """
        if len(flow) and flow.shape[1:] != (2, self._height, self._width):
            raise StoreError(
                f"flow of shape {flow.shape}, expected (n, 2, {self._height}, {self._width})"
            )
        for field in flow:
            self._add_picture("flow", encode_flow(field))

    def finish(
        self, origin: Origin, preparation: Mapping[str, Any], libraries: Mapping[str, str]
    ) -> None:
        """Write the table of offsets and the index.

        Raises:
            StoreError: no frame was added, or there is not one flow field less than frames.
        """
        rgb, flow = self._rows["rgb"], self._rows["flow"]
        if len(flow) != len(rgb) - 1:
            raise StoreError(
                f"{len(rgb)} frames and {len(flow)} flow fields, expected at least one frame and "
                "one field less"
            )
        head = HEADER.pack(VERSION, len(rgb), self._height, self._width, 0)[:-4]
        head += zlib.crc32(head).to_bytes(4, "little")
        place = self._add(OFFSETS, head + b"".join(rgb + flow))
        index = {
            "version": VERSION,
            "source": asdict(origin),
            "height": self._height,
            "width": self._width,
            "times": self._times,
            "preparation": dict(preparation),
            "libraries": dict(libraries),
            "warnings": self.warnings,
        }
        self._add(INDEX, json.dumps(index, indent=1, allow_nan=False).encode())
        self._archive.comment = COMMENT % place + DIGEST_LENGTH * b"0"

    def _add_picture(self, kind: str, jpeg: bytes) -> None:
        rows = self._rows[kind]
        place = self._add(f"{kind}/{len(rows):06d}.jpg", jpeg)
        rows.append(ROW.pack(place, len(jpeg), zlib.crc32(jpeg)))

    def _add(self, name: str, data: bytes) -> int:
        """Add a file; return the place of its first byte."""
        # ZipInfo's own date, 1980, and a fixed system: equal videos give equal bytes.
        member = zipfile.ZipInfo(name)
        member.create_system = 3
        member.external_attr = 0o644 << 16
        self._archive.writestr(member, data)
        return member.header_offset + len(member.FileHeader())


@contextmanager
def store_writer(
    path: Path,
    *,
    origin: Origin,
    preparation: Mapping[str, Any],
    libraries: Mapping[str, str],
) -> Iterator[StoreWriter]:
    """Write a store block by block; at the end it appears at `path` whole, or not at all.

    Args:
        origin: the video file.
        preparation: all that decides the pixels, as JSON values, with `FLOW_FORMAT` in it (see
            `Index`).
        libraries: versions, for the record.

    Raises:
        StoreError: what was written is not a whole video, or its flow is of another format.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    if not FLOW_FORMAT.items() <= preparation.items():
        raise StoreError("the preparation does not say that the flow is in our format")
    with atomic_write(path) as partial:
        with zipfile.ZipFile(partial, "w") as archive:
            writer = StoreWriter(archive)
            yield writer
            writer.finish(origin, preparation, libraries)
        with partial.open("rb+") as file:
            seal = digest(file)
            file.seek(-DIGEST_LENGTH, os.SEEK_END)
            file.write(seal)
