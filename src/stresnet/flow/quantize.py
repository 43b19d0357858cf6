"""Flow as bytes, the way the authors' gpu_flow stores it: ±20 px on 256 levels.

A motion gives the same bytes whatever the size of the frames: flow is stored in pixels per frame of
a picture whose short side is 256 px, the paper's (`stored_scale`).

The network sees the byte minus 128, so 128 is its "no motion". 0 px is 127.5 on the byte scale
and rounds to 128; one level is 40/255 = 0.157 px.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FLOW_FIELDS = 10  # L, of a chunk: each stack of the motion stream
SHORT_SIDE = 256  # pixels
# Flow beyond ±BOUND pixels per frame is clipped.
BOUND = 20.0


def stored_scale(short_side: int) -> float:
    """What flow is multiplied by before `to_bytes`, for frames of this short side, pixels."""
    return SHORT_SIDE / short_side


def to_bytes(flow: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Any shape, pixels per frame -> round(255 (flow + 20) / 40), clipped to 0..255.

    Halves round to even, as C's rint in gpu_flow (at 32548bc, line 45): 0 px becomes 128.
    """
    levels: npt.NDArray[np.float32] = np.rint(
        (flow + np.float32(BOUND)) * np.float32(255 / (2 * BOUND))
    )
    return np.clip(levels, 0, 255).astype(np.uint8)


def to_pixels(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Any shape, bytes -> pixels per frame, within half a level of what `to_bytes` was given."""
    return levels.astype(np.float32) * np.float32(2 * BOUND / 255) - np.float32(BOUND)


def negate(levels: Any) -> Any:
    """Any shape, bytes, array or tensor -> bytes of the opposite motion, 256 - levels: for flips.

    It mirrors about 128, the network's zero, so that no motion stays no motion; 0 has no opposite
    and becomes 255. The authors' 255 - levels turns 128 into 127: a mirrored clip drifts by one
    level, 0.157 px per frame.
    """
    return ~levels + (levels != 0)  # ~ is 255 - levels
