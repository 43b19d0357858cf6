"""Colour to grey, bit for bit as OpenCV's RGB2GRAY."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.errors import UsageError
from stresnet.flow.compiled import compiled

# BT.601 luma, 0.299 R + 0.587 G + 0.114 B, in units of 2^-15; together they are 2^15.
RED, GREEN, BLUE = 9798, 19235, 3735


def grey(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) uint8 RGB -> (N, H, W) uint8 luma.

    Raises:
        UsageError: the frames are not uint8 or have another shape.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise UsageError(
            f"frames are {frames.dtype} of shape {frames.shape}, not uint8 of shape (N, H, W, 3)",
            remedy="give RGB frames, 0 to 255",
        )
    luma = np.empty(frames.shape[:-1], np.uint8)
    _luma(np.ascontiguousarray(frames).reshape(-1, 3), luma.reshape(-1))
    return luma


@compiled
def _luma(rgb: npt.NDArray[np.uint8], luma: npt.NDArray[np.uint8]) -> None:
    for i in range(luma.size):
        total = RED * rgb[i, 0] + GREEN * rgb[i, 1] + BLUE * rgb[i, 2]
        luma[i] = (total + (1 << 14)) >> 15
