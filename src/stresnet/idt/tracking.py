"""Points sampled densely and followed through 15 frames, on one scale (IJCV 2013, section 3.1).

A point moves with the median of the flow around it. A new one starts wherever no point is near
and the frame has structure. What is around a point is described on the way, frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stresnet.flow.jit import compiled
from stresnet.idt.layout import (
    BINS,
    CELL,
    CELLS,
    COLUMNS,
    ENDS,
    FIRST_BIN,
    HISTOGRAMS,
    LAST_BIN,
    LENGTH,
    NUM_COLUMNS,
    PATCH,
    STRIDE,
    TIME,
    TIMES,
    Float32,
    Grey,
    optional,
)

cv2 = optional("cv2")

STRUCTURE = 0.001  # of the best corner in the frame: the least smaller eigenvalue
FREE = -1  # the age of a slot without a point
FLOOR = 0.05  # added to every bin, so that histograms of nearly nothing come out flat

# Pixels of the whole frame.
LEAST_DEVIATION = 3**0.5  # along x or y: less is static
MOST_DEVIATION = 50.0
LARGEST_STEP = 20.0  # a larger one must not be most of the way
LARGEST_SHARE = 0.7  # of the way
LEAST_OWN_MOTION = 1.0  # per frame, at its fastest: less is the camera's

f32 = np.float32


@dataclass(frozen=True)
class Finished:
    """Points that were followed to the end, n of them.

    Attributes:
        points: (n, 16, 2) x and y, pixels of the scale.
        displacements: (n, 15, 2) without the camera's motion, pixels of the scale.
        cells: (n, 3, 2, 2, 33) histograms over time, x and y.
    """

    points: Float32
    displacements: Float32
    cells: Float32


class Tracks:
    """The points that are being followed on a scale of (height, width) pixels."""

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = height, width
        slots = (height // STRIDE) * (width // STRIDE)  # crowded points may need more, see `_slots`
        self._ages = np.full(slots, FREE)
        self._points = np.empty((slots, LENGTH + 1, 2), f32)
        self._displacements = np.empty((slots, LENGTH, 2), f32)
        self._cells = np.empty((slots, TIMES, CELLS, CELLS, BINS), f32)

    def sample(self, frame: Grey) -> None:
        """Start a point in each 5x5 square that has none, where `frame` (H, W) has structure."""
        corners = cv2.cornerMinEigenVal(frame, 3, 3)
        followed = self._ages != FREE
        now = self._points[followed, self._ages[followed]]
        squares = _vacant_squares(now, self._height // STRIDE, self._width // STRIDE)
        y, x = np.nonzero(squares)
        y, x = y * STRIDE + STRIDE // 2, x * STRIDE + STRIDE // 2
        good = corners[y, x] > STRUCTURE * corners.max()
        start = np.stack([x[good], y[good]], axis=1)
        slots = self._slots(len(start))
        self._ages[slots] = 0
        self._points[slots, 0] = start
        self._cells[slots] = 0

    def follow(self, flow: Float32, still_flow: Float32, histograms: Float32) -> Finished:
        """Move all points to the next frame; return those that were followed to the end.

        Points that leave the frame are lost.

        Args:
            flow: (2, H, W) pixels per frame.
            still_flow: the same without the camera's motion.
            histograms: of cells, see `CellHistograms`.
        """
        _follow(
            self._ages, self._points, self._displacements, self._cells,
            _median(flow), _median(still_flow), histograms,
        )  # fmt: skip
        ended = np.flatnonzero(self._ages == LENGTH)
        self._ages[ended] = FREE
        return Finished(self._points[ended], self._displacements[ended], self._cells[ended])

    def _slots(self, count: int) -> npt.NDArray[np.intp]:
        """Return free places for `count` points; memory grows if there are too few."""
        lacking = count - int(np.count_nonzero(self._ages == FREE))
        if lacking > 0:
            more = max(lacking, len(self._ages) // 2)
            self._ages = np.pad(self._ages, (0, more), constant_values=FREE)
            for name in ("_points", "_displacements", "_cells"):
                old = getattr(self, name)
                setattr(self, name, np.pad(old, [(0, more), *[(0, 0)] * (old.ndim - 1)]))
        return np.flatnonzero(self._ages == FREE)[:count]


def _vacant_squares(points: Float32, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """(rows, columns) whether a square of 5x5 pixels holds none of the points (n, 2)."""
    x, y = (points // STRIDE).astype(np.intp).T
    whole = (x < columns) & (y < rows)
    vacant = np.ones((rows, columns), np.bool_)
    vacant[y[whole], x[whole]] = False
    return vacant


def _median(flow: Float32) -> Float32:
    """Each component's median over 3x3 pixels."""
    return np.stack([cv2.medianBlur(component, 3) for component in flow])


@compiled
def _follow(
    ages: npt.NDArray[np.int64],
    points: Float32,
    displacements: Float32,
    cells: Float32,
    flow: Float32,
    still_flow: Float32,
    histograms: Float32,
) -> None:
    _, height, width = flow.shape
    described = np.empty((CELLS, CELLS, BINS), f32)
    over_cells = np.empty(BINS, f32)
    share = np.empty(BINS, f32)
    for i in range(len(ages)):
        age = ages[i]
        if age == FREE:
            continue
        x, y = points[i, age, 0], points[i, age, 1]
        column = min(max(int(x + f32(0.5)), 0), width - 1)
        row = min(max(int(y + f32(0.5)), 0), height - 1)
        # The patch around the point, moved inside the frame where it would stick out.
        left = min(max(column - PATCH // 2, 0), width - PATCH)
        top = min(max(row - PATCH // 2, 0), height - PATCH)
        over_cells[:] = f32(0)
        for a in range(CELLS):
            for b in range(CELLS):
                cell = histograms[top + b * CELL, left + a * CELL]
                for bin in range(BINS):
                    described[a, b, bin] = cell[bin] + f32(FLOOR)
                    over_cells[bin] += described[a, b, bin]
        for h in range(len(FIRST_BIN)):
            total = over_cells[FIRST_BIN[h] : LAST_BIN[h]].sum()
            share[FIRST_BIN[h] : LAST_BIN[h]] = f32(1) / total
        # RootSIFT: the root of each bin's share of its histogram, averaged over a cell's frames.
        for a in range(CELLS):
            for b in range(CELLS):
                mean = cells[i, age // TIME, a, b]
                for bin in range(BINS):
                    mean[bin] += np.sqrt(described[a, b, bin] * share[bin]) * f32(1 / TIME)
        displacements[i, age, 0] = still_flow[0, row, column]
        displacements[i, age, 1] = still_flow[1, row, column]
        x += flow[0, row, column]
        y += flow[1, row, column]
        inside = x > f32(0) and x < f32(width) and y > f32(0) and y < f32(height)
        ages[i] = age + 1 if inside else FREE
        points[i, age + 1, 0], points[i, age + 1, 1] = x, y


def rows(finished: Finished, *, scale: float, last_frame: int, height: int, width: int) -> Float32:
    """(n, 436): the trajectories worth keeping, laid out as in `layout`; t is left 0.

    Args:
        scale: pixels of the whole frame in one of the scale.
        last_frame: the number of the frame that the points ended in.
        height, width: of the whole frame, pixels.
    """
    points = finished.points * np.float32(scale)
    displacements = finished.displacements * np.float32(scale)
    good = moves(points) & has_own_motion(displacements)
    points, displacements, cells = points[good], displacements[good], finished.cells[good]
    table = np.zeros((len(points), NUM_COLUMNS), np.float32)
    mean = points.mean(axis=1)
    table[:, 0] = last_frame
    table[:, 1:3] = mean
    table[:, 3:5] = points.std(axis=1)
    table[:, 5] = _steps(points).sum(axis=1)
    table[:, 6] = scale
    table[:, 7:9] = np.clip(mean / (width, height), 0, ENDS)
    way = np.linalg.norm(displacements, axis=2).sum(axis=1)
    shape = displacements / way[:, None, None]
    table[:, COLUMNS["trajectory"]] = shape.reshape(len(table), 2 * LENGTH)
    for name, bins in HISTOGRAMS.items():
        size = COLUMNS[name].stop - COLUMNS[name].start
        table[:, COLUMNS[name]] = cells[..., bins].reshape(len(table), size)
    return table


def moves(points: Float32) -> npt.NDArray[np.bool_]:
    """(n,) whether points (n, 16, 2) neither rest nor jump; pixels of the whole frame."""
    deviation = points.std(axis=1)
    steps = _steps(points)
    largest, way = steps.max(axis=1), steps.sum(axis=1)
    static = (deviation < LEAST_DEVIATION).all(axis=1)
    erratic = (deviation > MOST_DEVIATION).any(axis=1)
    jumps = (largest > LARGEST_STEP) & (largest > LARGEST_SHARE * way)
    return np.asarray(~(static | erratic | jumps))


def has_own_motion(displacements: Float32) -> npt.NDArray[np.bool_]:
    """(n,) whether displacements (n, 15, 2) without the camera's motion are ever a pixel long."""
    longest = np.linalg.norm(displacements, axis=2).max(axis=1)
    return np.asarray(longest > LEAST_OWN_MOTION)


def _steps(points: Float32) -> Float32:
    """(n, 15) pixels between a point's places in successive frames."""
    return np.asarray(np.linalg.norm(np.diff(points, axis=1), axis=2))
