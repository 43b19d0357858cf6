"""Between the levels of the pyramid, on one processor core: frames down, flow up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.flow.compiled import compiled
from stresnet.flow.pyramid import Taps, linear_taps

Float32 = npt.NDArray[np.float32]

HALF = np.float32(0.5)
# A cubic tap reaches 3 pixels beyond positions clamped to [-2, size + 1].
PAD = 3


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


def zoomed(flow: Float32, size: tuple[int, ...], scale_step: float) -> Float32:
    """A coarser level's (2, h, w) flow at `size`, in pixels of `size`, with its ghost column."""
    height, width = size
    u = np.empty((2, height, width + 1), np.float32)
    if flow.shape[1:] == size:
        u[:, :, :-1] = flow
    else:
        rows = linear_taps(flow.shape[1], height, flow.shape[1] / height)
        columns = linear_taps(flow.shape[2], width, flow.shape[2] / width)
        for component in range(2):
            coarse = np.ascontiguousarray(flow[component])
            u[component, :, :-1] = _resized(coarse, rows, columns) / np.float32(scale_step)
    u[:, :, -1] = u[:, :, -2]
    return u


@compiled
def _resized(image: Float32, rows: Taps, columns: Taps) -> Float32:
    """(h, w) -> (len(rows), len(columns))."""
    resized = np.empty((rows.before.size, columns.before.size), np.float32)
    for y in range(rows.before.size):
        above, below, down = image[rows.before[y]], image[rows.after[y]], rows.fraction[y]
        for x in range(columns.before.size):
            left, right, across = columns.before[x], columns.after[x], columns.fraction[x]
            upper = above[left] + across * (above[right] - above[left])
            lower = below[left] + across * (below[right] - below[left])
            resized[y, x] = upper + down * (lower - upper)
    return resized


@compiled
def with_gradient(image: Float32, repeat_edge: bool) -> Float32:
    """(H, W) -> (3, H+7, W+7): the image and its central differences in x and y, padded."""
    height, width = image.shape
    padded = np.zeros((3, height + 2 * PAD + 1, width + 2 * PAD + 1), np.float32)
    for j in range(padded.shape[1]):
        y = min(max(j - PAD, 0), height - 1)
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for i in range(padded.shape[2]):
            x = min(max(i - PAD, 0), width - 1)
            if repeat_edge or (y == j - PAD and x == i - PAD):
                padded[0, j, i] = image[y, x]
                padded[1, j, i] = HALF * (image[y, min(x + 1, width - 1)] - image[y, max(x - 1, 0)])
                padded[2, j, i] = HALF * (image[below, x] - image[above, x])
    return padded
