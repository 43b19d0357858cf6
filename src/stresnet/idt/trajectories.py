"""Followed points -> rows of 436 columns, without the static, the erratic and the camera's own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.idt.layout import COLUMNS, HISTOGRAMS, LENGTH, NUM_COLUMNS, Float32
from stresnet.idt.tracking import Finished

# Pixels of the whole frame.
LEAST_DEVIATION = 3**0.5  # along x or y: less is static
MOST_DEVIATION = 50.0
LARGEST_STEP = 20.0  # a larger one must not be most of the way
LARGEST_SHARE = 0.7  # of the way
LEAST_OWN_MOTION = 1.0  # per frame, at its fastest: less is the camera's

ENDS = 0.999  # places in the video are below 1


def rows(finished: Finished, *, scale: float, last_frame: int, height: int, width: int) -> Float32:
    """(n, 436): the trajectories worth keeping, as `layout` tells; t is left 0.

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
