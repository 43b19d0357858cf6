"""Warp I1 by the flow so far and linearise the data term there, on one processor core.

I1 and its gradient are interpolated by cubic convolution over 4x4 pixels (Keys 1981). They lie
interleaved, four floats per pixel, so that the four pixels of a row under the kernel are one
vector.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from stresnet.flow.jit import compiled, inlined
from stresnet.flow.numba_fields import FIRST, FLOW, INVERSE, RHO, SLOPE
from stresnet.flow.parameters import FLAT, PART_BITS, PARTS
from stresnet.flow.pyramid import cubic_weights
from stresnet.flow.simd import (
    LANES,
    Float32,
    Lanes,
    first_of_four,
    greater,
    leading,
    load,
    quarter_sums,
    second_of_four,
    store,
    third_of_four,
)

UInt32 = npt.NDArray[np.uint32]

f32 = np.float32
HALF, ONE = f32(0.5), f32(1)
U1, U2, U3, U4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
# A cubic tap reaches 3 pixels beyond positions clamped to [-2, size + 1].
PAD = 3


@cache
def cubic_taps(a: float) -> Float32:
    """(PARTS, 4): the weights of four pixels at each part of the way from the second to the third.

    `a` is the slope of the kernel at 1.
    """
    return np.stack(cubic_weights(np.arange(PARTS) / PARTS, a), axis=1).astype(np.float32)


@compiled
def with_gradient(image: Float32, repeat_edge: bool) -> Float32:
    """(H, W) -> (H+7, 4(W+7)): I1, its central differences in x and y, and 0, for each pixel."""
    height, width = image.shape
    padded = np.zeros((height + 2 * PAD + 1, width + 2 * PAD + 1, 4), np.float32)
    for j in range(padded.shape[0]):
        y = min(max(j - PAD, 0), height - 1)
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for i in range(padded.shape[1]):
            x = min(max(i - PAD, 0), width - 1)
            if repeat_edge or (y == j - PAD and x == i - PAD):
                padded[j, i, 0] = image[y, x]
                padded[j, i, 1] = HALF * (image[y, min(x + 1, width - 1)] - image[y, max(x - 1, 0)])
                padded[j, i, 2] = HALF * (image[below, x] - image[above, x])
    return padded.reshape(padded.shape[0], -1)


@compiled
def linearise(
    fields: Float32, second: Float32, width: int, taps: Float32, unit: np.float32, tau: np.float32
) -> None:
    """Fill slope, rho and inverse of `fields` at its u.

    second from `with_gradient`, taps from `cubic_taps`; `unit` of flow in pixels.
    """
    height, _, pitch = fields.shape
    stride = np.uint32(second.shape[1])
    pixels, taps_down = second.reshape(-1), taps.reshape(-1)
    taps_across = np.repeat(taps_down, 4)  # one for each of a pixel's four floats
    # What lies behind the last pixel reads the corner of `second`, and is masked.
    corner, row = np.zeros(pitch, np.uint32), np.zeros(pitch, np.uint32)
    part, start = np.zeros((2, pitch), np.uint32), np.zeros((2, pitch), np.float32)
    for y in range(height):
        _places(fields[y, FLOW, :width], 0, 1, width, unit, corner, part[0], start[0])
        _places(fields[y, FLOW + 1, :width], y, 0, height, unit, row, part[1], start[1])
        for x in range(width):
            corner[x] = stride * row[x] + U4 * corner[x]
        for x in range(0, width, LANES):
            a = _four_pixels(pixels, stride, corner, part, x, taps_across, taps_down)
            b = _four_pixels(pixels, stride, corner, part, x + 4, taps_across, taps_down)
            c = _four_pixels(pixels, stride, corner, part, x + 8, taps_across, taps_down)
            d = _four_pixels(pixels, stride, corner, part, x + 12, taps_across, taps_down)
            slope_x = leading(unit * second_of_four(a, b, c, d), width - x)
            slope_y = leading(unit * third_of_four(a, b, c, d), width - x)
            moved = slope_x * load(start, (0, x)) + slope_y * load(start, (1, x))
            seen = first_of_four(a, b, c, d) - load(fields, (y, FIRST, x))
            square = slope_x * slope_x + slope_y * slope_y
            store(fields, (y, SLOPE, x), slope_x)
            store(fields, (y, SLOPE + 1, x), slope_y)
            store(fields, (y, RHO, x), seen - moved)
            store(fields, (y, INVERSE, x), ONE / (tau * greater(square, unit * unit * FLAT)))


@compiled
def _places(
    u: Float32,
    origin: int,
    advance: int,
    size: int,
    unit: np.float32,
    corner: UInt32,
    part: UInt32,
    start: Float32,
) -> None:
    """Where a component u of a row's flow leads, from the positions origin + advance * x on.

    The corner of the 4x4 pixels there, counted as in what `with_gradient` returns; how many parts
    of the way from their second to their third; and u itself, rounded.
    """
    parts_per_unit = unit * f32(PARTS)
    unit_per_part = ONE / parts_per_unit
    low, high = f32(-2 * PARTS), f32((size + 1) * PARTS)
    first, step = f32(origin * PARTS), f32(advance * PARTS)
    for x in range(u.size):
        # float32 and 32-bit integers only, or half as many lanes would be at work.
        moved = np.floor(u[x] * parts_per_unit + HALF)
        start[x] = moved * unit_per_part
        place = np.int32(min(max(first + step * f32(np.int32(x)) + moved, low), high))
        corner[x] = np.uint32((place >> np.int32(PART_BITS)) + np.int32(PAD - 1))
        part[x] = np.uint32(place & np.int32(PARTS - 1))


@inlined
def _four_pixels(
    pixels: Float32,
    stride: np.uint32,
    corner: UInt32,
    part: UInt32,
    x: int,
    taps_across: Float32,
    taps_down: Float32,
) -> Lanes:
    """I1, its slopes and 0 at the places of x to x+3."""
    return quarter_sums(
        _weighted(pixels, stride, corner, part, x, taps_across, taps_down),
        _weighted(pixels, stride, corner, part, x + 1, taps_across, taps_down),
        _weighted(pixels, stride, corner, part, x + 2, taps_across, taps_down),
        _weighted(pixels, stride, corner, part, x + 3, taps_across, taps_down),
    )


@inlined
def _weighted(
    pixels: Float32,
    stride: np.uint32,
    corner: UInt32,
    part: UInt32,
    x: int,
    taps_across: Float32,
    taps_down: Float32,
) -> Lanes:
    """The four columns under the kernel at the place of x, weighted and summed along y."""
    # Unsigned, or numba would look for indices that count from the end.
    i = np.uint64(x)
    at, step = np.int64(corner[i]), np.int64(stride)
    across, down = np.int64(part[0, i]), U4 * np.uint64(part[1, i])
    return load(taps_across, (LANES * across,)) * (
        taps_down[down] * load(pixels, (at,))
        + taps_down[down + U1] * load(pixels, (at + step,))
        + taps_down[down + U2] * load(pixels, (at + 2 * step,))
        + taps_down[down + U3] * load(pixels, (at + 3 * step,))
    )
