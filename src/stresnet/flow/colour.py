"""Flow as a picture: the Middlebury colour wheel (Baker et al., IJCV 2011).

The hue is the direction, the saturation the speed: still is white.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.errors import UsageError

# Steps from each corner of the wheel to the next: as many as the eye can distinguish there.
ARCS = (
    ((255, 0, 0), 15),  # red to yellow
    ((255, 255, 0), 6),  # yellow to green
    ((0, 255, 0), 4),  # green to cyan
    ((0, 255, 255), 11),  # cyan to blue
    ((0, 0, 255), 13),  # blue to magenta
    ((255, 0, 255), 6),  # magenta to red
)


def to_colour(flow: npt.NDArray[np.float32], max_px: float | None = None) -> npt.NDArray[np.uint8]:
    """(..., 2, H, W) float32, pixels per frame -> (..., H, W, 3) uint8 RGB.

    `max_px` is the speed of full colour; None takes the fastest pixel of `flow`. Faster pixels are
    darkened.

    Raises:
        UsageError: another shape, or max_px is not above 0.
    """
    if flow.ndim < 3 or flow.shape[-3] != 2:
        raise UsageError(
            f"flow has shape {flow.shape}, not (..., 2, H, W)", remedy="give x, then y, as tv_l1"
        )
    if max_px is not None and not max_px > 0:
        raise UsageError(f"max_px is {max_px}, not above 0", remedy="leave it out for the fastest")
    x, y = flow[..., 0, :, :], flow[..., 1, :, :]
    speed = np.hypot(x, y)
    if max_px is None:
        max_px = float(speed.max(initial=0)) or 1.0
    radius = (speed / max_px)[..., None]
    # Image rows grow downwards; the wheel has red to the right and runs over yellow below.
    turn = np.arctan2(y, x) / (2 * np.pi) % 1
    hue = _hue(turn)
    shade = np.where(radius <= 1, 1 - radius * (1 - hue), 0.75 * hue)
    return (255 * shade).astype(np.uint8)


def _hue(turn: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(...) in turns, [0, 1] -> (..., 3) the wheel's colour there, 0 to 1."""
    corners = np.array([colour for colour, _ in ARCS] + [ARCS[0][0]]) / 255
    ends = np.cumsum([0] + [steps for _, steps in ARCS])
    at = turn * ends[-1]
    return np.stack([np.interp(at, ends, corners[:, channel]) for channel in range(3)], axis=-1)
