"""Luma of pixels, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.flow.jit import compiled

# BT.601 luma, 0.299 R + 0.587 G + 0.114 B, in units of 2^-15; together they are 2^15.
RED, GREEN, BLUE = 9798, 19235, 3735


@compiled
def write_luma(rgb: npt.NDArray[np.uint8], luma: npt.NDArray[np.uint8]) -> None:
    """rgb: (P, 3) -> luma: (P,), rounded to the nearest."""
    for i in range(luma.size):
        total = RED * rgb[i, 0] + GREEN * rgb[i, 1] + BLUE * rgb[i, 2]
        luma[i] = (total + (1 << 14)) >> 15
