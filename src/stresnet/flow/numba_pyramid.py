"""Between the levels of the pyramid, on one processor core: frames down, flow up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.flow.compiled import compiled
from stresnet.flow.pyramid import Taps, linear_taps

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


def levels(
    frame: npt.NDArray[np.uint8], sizes: list[tuple[int, int]], scale_step: float
) -> list[Float32]:
    """The frame at each size, finest first, (H, W) float32 in 0 to 255."""
    pyramid = [frame.astype(np.float32)]
    for height, width in sizes[1:]:
        finer = pyramid[-1]
        rows = linear_taps(finer.shape[0], height, 1 / scale_step)
        columns = linear_taps(finer.shape[1], width, 1 / scale_step)
        pyramid.append(_resized(finer, rows, columns))
    return pyramid


def zoomed(flow: Float32, size: tuple[int, int], scale_step: float) -> Float32:
    """A new array with a level's (2, h, w) flow at another `size`, (2, H, W), in its pixels.

    `scale_step` is the size of the old level relative to the new one.
    """
    height, width = size
    if flow.shape[1:] == size:
        return flow.copy()
    rows = linear_taps(flow.shape[1], height, flow.shape[1] / height)
    columns = linear_taps(flow.shape[2], width, flow.shape[2] / width)
    finer = [_resized(component, rows, columns) for component in flow]
    return np.stack(finer) / np.float32(scale_step)


def _resized(image: Float32, rows: Taps, columns: Taps) -> Float32:
    """(h, w) -> (len(rows.before), len(columns.before))."""
    return _interpolated(np.ascontiguousarray(image), *rows, *columns)


@compiled
def _interpolated(
    image: Float32,
    above: Int64,
    below: Int64,
    down: Float32,
    left: Int64,
    right: Int64,
    across: Float32,
) -> Float32:
    new = np.empty((down.size, across.size), np.float32)
    row = np.empty(image.shape[1], np.float32)
    for y in range(down.size):
        upper, lower, fraction = image[above[y]], image[below[y]], down[y]
        for x in range(row.size):
            row[x] = upper[x] + fraction * (lower[x] - upper[x])
        for x in range(across.size):
            # Unsigned, or numba would look for indices that count from the end.
            before, after = row[np.uint64(left[x])], row[np.uint64(right[x])]
            new[y, x] = before + across[x] * (after - before)
    return new
