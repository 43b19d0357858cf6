"""Colour to grey, bit for bit as OpenCV's RGB2GRAY."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.errors import UsageError


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
    from stresnet.flow.numba_luma import write_luma  # here, as in `tv_l1`

    luma = np.empty(frames.shape[:-1], np.uint8)
    write_luma(np.ascontiguousarray(frames).reshape(-1, 3), luma.reshape(-1))
    return luma
