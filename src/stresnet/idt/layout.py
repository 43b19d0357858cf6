"""The numbers of Wang and Schmid, and how a trajectory is laid out in 436 columns.

    columns      what
      0 ...   9  info: last frame, mean x, mean y, deviation x, deviation y (pixels), length
                 (pixels), scale, and the place in the video: x, y, t in [0, 1)
     10 ...  39  trajectory: 15 displacements (x, y), their lengths together 1
     40 ... 135  HOG      3 (time) x 2 (x) x 2 (y) cells of 8 orientations
    136 ... 243  HOF      the same of 9: the last one is "no motion"
    244 ... 339  MBHx     the same of 8
    340 ... 435  MBHy     the same of 8

It is the layout that the authors' program prints, one line of text per trajectory.

Sources: H. Wang, A. Klaser, C. Schmid, C.-L. Liu, "Dense trajectories and motion boundary
descriptors for action recognition" (IJCV 2013), and H. Wang, C. Schmid, "Action recognition with
improved trajectories" (ICCV 2013). What the papers leave open is as in the authors' program.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from stresnet.errors import EnvironmentProblem

Float32 = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

LENGTH = 15  # frames that a point is followed for
STRIDE = 5  # pixels between sampled points
SCALES = 8  # at most
SCALE_STEP = 2**0.5
PATCH = 32  # pixels: side of the neighbourhood that is described
CELLS = 2  # of the patch, along x and along y
CELL = PATCH // CELLS  # pixels
TIMES = 3  # cells along time
TIME = LENGTH // TIMES  # frames

ORIENTATIONS = 8
# The bins of the four histograms of a cell, which lie side by side.
HISTOGRAMS: Mapping[str, slice] = {
    "hog": slice(0, 8),
    "hof": slice(8, 17),
    "mbhx": slice(17, 25),
    "mbhy": slice(25, 33),
}
BINS = 33
FIRST_BIN = np.array([bins.start for bins in HISTOGRAMS.values()])
LAST_BIN = np.array([bins.stop for bins in HISTOGRAMS.values()])
ENDS = 0.999  # places in a video are below 1

COLUMNS: Mapping[str, slice] = {
    "info": slice(0, 10),
    "trajectory": slice(10, 40),
    "hog": slice(40, 136),
    "hof": slice(136, 244),
    "mbhx": slice(244, 340),
    "mbhy": slice(340, 436),
}
NUM_COLUMNS = 436


def optional(module: str) -> Any:
    """Import a module of the extra `idt`.

    Raises:
        EnvironmentProblem: it is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise EnvironmentProblem(
            f"improved trajectories need {module}, which cannot be imported ({error})",
            remedy="pip install 'stresnet[idt]'",
        ) from error
