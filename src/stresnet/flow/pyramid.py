"""The sizes of the pyramid's levels, and the weights of interpolation, as OpenCV has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# OpenCV leaves out levels narrower or lower than this, in pixels.
SMALLEST_LEVEL = 16


class Taps(NamedTuple):
    """Along one axis: new[i] = (1 - fraction[i]) old[before[i]] + fraction[i] old[after[i]]."""

    before: npt.NDArray[np.int64]
    after: npt.NDArray[np.int64]
    fraction: npt.NDArray[np.float32]


def level_sizes(height: int, width: int, scales: int, scale_step: float) -> list[tuple[int, int]]:
    """(height, width) of each level in pixels, finest first; at least the image itself."""
    sizes = [(height, width)]
    while len(sizes) < scales:
        coarser = (round(sizes[-1][0] * scale_step), round(sizes[-1][1] * scale_step))
        if min(coarser) < SMALLEST_LEVEL:
            break
        sizes.append(coarser)
    return sizes


@lru_cache(maxsize=64)
def linear_taps(old_length: int, new_length: int, spacing: float) -> Taps:
    """Bilinear interpolation along one axis, pixel centres aligned, the border repeated.

    `spacing` is the distance between two new pixels in old ones. Going down the pyramid it is
    1 / scale_step, not old_length / new_length, as in OpenCV.
    """
    position = (np.arange(new_length) + 0.5) * spacing - 0.5
    position = np.clip(position, 0, old_length - 1)
    before = position.astype(np.int64)
    after = np.minimum(before + 1, old_length - 1)
    return Taps(before, after, (position - before).astype(np.float32))


def cubic_weights(t: Any, a: float) -> list[Any]:
    """Weights of four neighbours in cubic convolution (Keys 1981), as arrays or tensors like `t`.

    Args:
        t: where between the second and the third, in [0, 1).
        a: slope of the kernel at 1.
    """
    rest = 1 - t
    return [
        a * t * rest * rest,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * rest - (a + 3)) * rest * rest + 1,
        a * rest * t * t,
    ]
