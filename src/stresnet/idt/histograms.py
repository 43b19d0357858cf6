"""Orientation histograms of every 16x16 cell of a frame: what HOG, HOF and MBH are made of.

    plane             orientations of                              bins
    HOG               the frame's gradient                         8
    HOF               the flow without the camera's motion         8, and one for "no motion"
    MBHx, MBHy        the gradient of that flow's x and y          8 each

A vector of length r votes for the two bins next to its direction, with r in all (IJCV 2013,
section 3.2). Histograms are summed over cells by a moving window, at all places at once.
"""

from __future__ import annotations

import numpy as np

from stresnet.flow.jit import compiled
from stresnet.idt.layout import (
    BINS,
    CELL,
    FIRST_BIN,
    ORIENTATIONS,
    Float32,
    Grey,
    optional,
)

cv2 = optional("cv2")

NO_MOTION = 0.4  # pixels per frame; this and less counts as standing still
PLANES, HOF = 4, 1  # how many, and which one is HOF's

f32 = np.float32


class CellHistograms:
    """Histograms of frames of one size (H, W), each at least 16 pixels.

    The next call overwrites the result: fresh memory for every frame would cost more than the sums.
    """

    def __init__(self, height: int, width: int) -> None:
        self._polar = np.empty((2, PLANES, height, width), f32)  # lengths, directions in degrees
        self._sums = np.empty((height - CELL + 1, (width - CELL + 1) * BINS), f32)

    def __call__(self, frame: Grey, flow: Float32) -> Float32:
        """(H, W) and (2, H, W) -> (H-15, W-15, 33): of the cell whose upper left pixel is there.

        Args:
            flow: pixels per frame, x then y.
        """
        fields = (_gradient(frame), (flow[0], flow[1]), _gradient(flow[0]), _gradient(flow[1]))
        for (x, y), length, direction in zip(fields, *self._polar, strict=True):
            cv2.cartToPolar(x, y, length, direction, angleInDegrees=True)
        _sum_over_cells(self._polar[0], self._polar[1], self._sums)
        return self._sums.reshape(len(self._sums), -1, BINS)


def _gradient(field: Grey | Float32) -> tuple[Float32, Float32]:
    """Central differences, x then y."""
    x, y = (cv2.Sobel(field, cv2.CV_32F, *axis, ksize=1) for axis in ((1, 0), (0, 1)))
    return x, y


@compiled
def _sum_over_cells(lengths: Float32, directions: Float32, sums: Float32) -> None:
    """Votes of (4, H, W) vectors, summed over cells. Rows of pixels lie flat, 33 bins per pixel."""
    _, height, width = lengths.shape
    size = width * BINS
    rows = np.zeros((CELL, size), f32)  # the latest rows' votes
    columns = np.zeros(size, f32)  # their sums
    two, four = np.zeros(size, f32), np.zeros(size, f32)  # sums of as many columns
    for y in range(height):
        row = rows[y % CELL]
        for i in range(size):
            columns[i] -= row[i]
        row[:] = f32(0)
        for plane in range(PLANES):
            first = FIRST_BIN[plane]
            for x in range(width):
                pixel = x * BINS + first
                length = lengths[plane, y, x]
                if plane == HOF and length <= f32(NO_MOTION):
                    row[pixel + ORIENTATIONS] += f32(1)
                    continue
                place = directions[plane, y, x] * f32(ORIENTATIONS / 360)
                low = int(place)
                share = length * (place - f32(low))
                row[pixel + low % ORIENTATIONS] += length - share  # 360 degrees are 0
                row[pixel + (low + 1) % ORIENTATIONS] += share
        for i in range(size):
            columns[i] += row[i]
        if y < CELL - 1:
            continue
        # Sums of 2, 4, 8 and 16 columns: unlike a moving sum, it uses the processor's vectors.
        for i in range(size - BINS):
            two[i] = columns[i] + columns[i + BINS]
        for i in range(size - 3 * BINS):
            four[i] = two[i] + two[i + 2 * BINS]
        eight = two
        for i in range(size - 7 * BINS):
            eight[i] = four[i] + four[i + 4 * BINS]
        cell = sums[y - CELL + 1]
        for i in range(size - 15 * BINS):
            # Rounding may leave a little less than 0 where votes have left the window.
            cell[i] = max(eight[i] + eight[i + 8 * BINS], f32(0))
