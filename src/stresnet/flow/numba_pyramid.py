"""Frames to grey, then down the pyramid, and flow up it again, on one processor core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.flow.jit import compiled
from stresnet.flow.numba_fields import FLOW
from stresnet.flow.pyramid import linear_taps
from stresnet.flow.simd import Float32

Int64 = npt.NDArray[np.int64]

# BT.601 luma, 0.299 R + 0.587 G + 0.114 B, in units of 2^-15; together they are 2^15.
RED, GREEN, BLUE = 9798, 19235, 3735


@compiled
def write_luma(rgb: npt.NDArray[np.uint8], luma: npt.NDArray[np.uint8]) -> None:
    """rgb: (P, 3) -> luma: (P,), rounded to the nearest."""
    for i in range(luma.size):
        total = RED * rgb[i, 0] + GREEN * rgb[i, 1] + BLUE * rgb[i, 2]
        luma[i] = (total + (1 << 14)) >> 15


def levels(
    frame: npt.NDArray[np.uint8], sizes: list[tuple[int, int]], scale_step: float
) -> list[Float32]:
    """The frame at each size, finest first, (H, W) float32 in 0 to 255."""
    pyramid = [frame.astype(np.float32)]
    for height, width in sizes[1:]:
        finer = pyramid[-1]
        rows = linear_taps(finer.shape[0], height, 1 / scale_step)
        columns = linear_taps(finer.shape[1], width, 1 / scale_step)
        coarser = np.empty((height, width), np.float32)
        _interpolate(finer, np.float32(1), *rows, *columns, coarser)
        pyramid.append(coarser)
    return pyramid


def zoom_into(fields: Float32, width: int, flow: Float32, scale_step: float) -> None:
    """Set u of a level's `fields`, `width` columns wide, to the (2, h, w) flow of another level.

    `scale_step` is the size of the other level relative to this one, and flow is in pixels of each.
    """
    height, old_size = fields.shape[0], flow.shape[1:]
    rows = linear_taps(old_size[0], height, old_size[0] / height)
    columns = linear_taps(old_size[1], width, old_size[1] / width)
    larger = 1 if old_size == (height, width) else 1 / scale_step
    for component in range(2):
        _interpolate(
            np.ascontiguousarray(flow[component]),
            np.float32(larger),
            *rows,
            *columns,
            fields[:, FLOW + component],
        )


@compiled
def _interpolate(
    image: Float32,
    factor: np.float32,
    above: Int64,
    below: Int64,
    down: Float32,
    left: Int64,
    right: Int64,
    across: Float32,
    new: Float32,
) -> None:
    """Set the (len(above), len(left)) upper left part of `new` to the resized image by `factor`."""
    row = np.empty(image.shape[1], np.float32)
    for y in range(down.size):
        upper, lower, fraction = image[above[y]], image[below[y]], down[y]
        for x in range(row.size):
            row[x] = factor * (upper[x] + fraction * (lower[x] - upper[x]))
        for x in range(across.size):
            # Unsigned, or numba would look for indices that count from the end.
            before, after = row[np.uint64(left[x])], row[np.uint64(right[x])]
            new[y, x] = before + across[x] * (after - before)
