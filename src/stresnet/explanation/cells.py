"""Where the cells of conv5_x's map lie in a frame and in time, and what lies between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.dataset import testing_size
from stresnet.model import STResNet
from stresnet.model.receptive_field import receptive_fields

Floats = NDArray[np.float64]
Places = NDArray[np.float64] | NDArray[np.int64]


def cell_centres(net: STResNet, height: int, width: int) -> tuple[Floats, Floats]:
    """Rows (h,) and columns (w,) of the cells' centres in a frame, as fractions of its sides.

    A centre is that of the receptive field: He et al.'s network sees around pixel 32 i + 2,
    torchvision's around 32 i, well left of and above the middle of the i-th 32 pixels. Columns are
    averaged with the mirror image's, which lie as far to the right; that makes them symmetric.

    Args:
        height, width: of the video's frames, px.
    """
    stream = net.appearance
    stride = receptive_fields(net)["conv5_x"].stride
    tested = testing_size(height, width, net.config["input_size"])
    down, right = (stride * np.arange(stream.conv5_side(side)) for side in tested)
    first = 2 if stream.stride_in == "1x1" else 0
    rows = (down + first + 0.5) / tested[0]
    columns = 0.5 + (right - right.mean()) / tested[1]
    return rows, columns


def between(knots: Places, places: Places) -> Floats:
    """(n, k) weights of linear interpolation from k knots to n places, the ends held.

    Knots never decrease. Equal ones share their weight.
    """
    different, of_knot = np.unique(knots.astype(np.float64), return_inverse=True)
    to_different = np.eye(len(different))[of_knot]  # (k, d)
    averaged = to_different / to_different.sum(0)
    weights = [np.interp(places, different, unit) for unit in np.eye(len(different))]
    return np.asarray(np.stack(weights, axis=1) @ averaged.T)


def over_pixels(maps: Floats, rows: Floats, columns: Floats, height: int, width: int) -> Floats:
    """(...,h,w) at `cell_centres` -> (...,height,width), a value a pixel."""
    down = between(rows, (np.arange(height) + 0.5) / height)
    right = between(columns, (np.arange(width) + 0.5) / width)
    return np.asarray(down @ maps @ right.T)
