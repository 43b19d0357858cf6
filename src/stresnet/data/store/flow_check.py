"""Does the stored flow belong to the stored frames? Known kinds of damage are named.

Warped back by the flow, frame k+1 must look like frame k (brightness constancy, on which TV-L1
rests). If another reading of the same bytes makes it look more alike, they were written that way:

    axes swapped | negated, both or one | too large or too small | of the frame before or after

Flow that was min-max normalised, each picture on its own, shows in its levels: each picture goes
from 0 to 255, and what stands still is not at 128. Only moving, textured pixels count; a still or
black video has none, and is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.format import NO_MOTION
from stresnet.data.store.reader import StoredVideo
from stresnet.flow import grey, to_pixels
from stresnet.flow.quantize import BOUND

FIELDS = 12  # looked at in a video
PIXELS = 4000  # looked at in a field
LEAST_PIXELS = 200  # of a field, or it is skipped
LEAST_FIELDS = 3  # in all, or the video is not judged
LEAST_SPEED = 1.0  # pixels per frame; below, the readings hardly differ
LEAST_GRADIENT = 8.0  # grey levels per pixel; without texture, every reading fits
BETTER = 0.85  # of the error as stored, to be a better reading
AGREEING = 0.7  # of the fields that must find it better

Flow = NDArray[np.float32]  # (2,n), at n pixels
_SCALES = (1 / 2, 5 / 8, 3 / 4, 4 / 3, 8 / 5, 2)  # 8/5: denseflow's own bound, 32, taken for 20

AS_STORED = "as stored"
READINGS: Mapping[str, Callable[[Flow], Flow]] = {
    AS_STORED: lambda flow: flow,
    "none": np.zeros_like,
    "swapped": lambda flow: flow[::-1],
    "negated": lambda flow: -flow,
    "x negated": lambda flow: flow * np.array([[-1], [1]], np.float32),
    "y negated": lambda flow: flow * np.array([[1], [-1]], np.float32),
    **{
        f"times {scale:.3g}": lambda flow, scale=scale: flow * np.float32(scale)  # type: ignore[misc]
        for scale in _SCALES
    },
}
_NEIGHBOURS = {"before": -1, "after": 1}
_SENTENCES = {
    "none": "frames look more alike without the flow than warped by it: it is of other frames, or "
    "of another size",
    "swapped": "x and y seem to be swapped: the flow fits when its axes are exchanged",
    "negated": "the flow seems to be backward: it fits when negated",
    "x negated": "horizontal flow seems to have the wrong sign: it fits when x is negated",
    "y negated": "vertical flow seems to have the wrong sign, upward for downward: it fits when y "
    "is negated",
    "before": "flow seems to be shifted by a frame: field k fits frames k+1 and k+2",
    "after": "flow seems to be shifted by a frame: field k fits frames k-1 and k",
}
_MIN_MAX = (
    "the flow seems to be min-max normalised: each picture goes from 0 to 255, and what stands "
    f"still is not at {NO_MOTION}; its scale is lost, compute it again"
)


@dataclass
class Evidence:
    """What was measured of a video.

    Attributes:
        bound: of the flow, in pixels per frame, that its maker is said to have used.
        scale: what the flow was multiplied by before it was stored.
        errors: by reading, for each field looked at: mean difference in grey levels.
        touching: for each field, whether both its pictures go from 0 to 255.
        off_zero: for each of those in which anything stands still, whether it is far from 128.
    """

    bound: float = BOUND
    scale: float = 1.0
    errors: dict[str, list[float]] = field(default_factory=dict)
    touching: list[bool] = field(default_factory=list)
    off_zero: list[bool] = field(default_factory=list)


def evidence(stored: StoredVideo) -> Evidence:
    """Look at some flow fields of a prepared video, spread evenly over it.

    Raises:
        StoreError: the store is missing or damaged.
    """
    preparation = stored.index.preparation
    seen = Evidence(preparation.get("imported_bound", BOUND), preparation.get("flow_scale", 1.0))
    # Fields 1 ... N-3, since those before and after are tried too.
    last = stored.num_frames - 3
    for index in np.unique(np.linspace(1, last, FIELDS).astype(int)) if last >= 1 else ():
        before, after = grey(stored.frames([index, index + 1])).astype(np.float32)
        levels = stored.flow([index - 1, index, index + 1])
        _look(seen, before, after, levels)
    return seen


def finding(seen: Evidence) -> str:
    """Return what seems to be wrong, in a sentence; empty if nothing does, or nobody can say."""
    if _mostly(seen.touching, 0.9) and _mostly(seen.off_zero, 0.5):
        return _MIN_MAX
    stored = np.array(seen.errors.get(AS_STORED, []))
    if len(stored) < LEAST_FIELDS:
        return ""
    others = {name: np.array(errors) for name, errors in seen.errors.items() if name != AS_STORED}
    best = min(others, key=lambda name: float(others[name].mean()))
    improves = others[best].mean() < BETTER * stored.mean()
    agreed = (others[best] < BETTER * stored).mean() >= AGREEING
    return _sentence(best, seen.bound) if improves and agreed else ""


def _sentence(reading: str, bound: float) -> str:
    if reading in _SENTENCES:
        return _SENTENCES[reading]
    scale = float(reading.removeprefix("times "))
    return (
        f"the bound seems to be wrong: the flow fits when taken {reading}, as if made with a bound "
        f"of about {bound * scale:.2g} px per frame, not {bound:g}, or on frames of another size"
    )


def _mostly(answers: Iterable[bool], share: float) -> bool:
    given = list(answers)
    return len(given) >= LEAST_FIELDS and sum(given) >= share * len(given)


def _look(
    seen: Evidence,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    levels: NDArray[np.uint8],
) -> None:
    """Frames (H,W) grey, and flow bytes (3,2,H,W) of the field before, this and after."""
    texture = np.hypot(*np.gradient(before))
    textured = texture >= LEAST_GRADIENT
    _look_at_levels(seen, levels[1], textured & (np.abs(after - before) <= 2))

    flow = to_pixels(levels) / seen.scale  # (3,2,H,W)
    moving = np.hypot(*flow[1]) >= LEAST_SPEED
    y, x = np.nonzero(textured & moving)
    if len(x) < LEAST_PIXELS:
        return
    chosen = np.linspace(0, len(x) - 1, min(PIXELS, len(x))).astype(int)
    y, x = y[chosen], x[chosen]
    here = flow[..., y, x]  # (3,2,n)
    readings = {name: read(here[1]) for name, read in READINGS.items()}
    readings |= {name: here[1 + offset] for name, offset in _NEIGHBOURS.items()}
    for name, read in readings.items():
        error = np.abs(_at(after, y + read[1], x + read[0]) - before[y, x])
        seen.errors.setdefault(name, []).append(float(error.mean()))


def _look_at_levels(seen: Evidence, levels: NDArray[np.uint8], still: NDArray[Any]) -> None:
    # JPEG blurs the ends by a few levels.
    touching = bool((levels.min(axis=(1, 2)) <= 4).all() and (levels.max(axis=(1, 2)) >= 251).all())
    seen.touching.append(touching)
    if touching and still.sum() >= LEAST_PIXELS:
        zero = np.median(levels[:, still], axis=1)
        seen.off_zero.append(bool((np.abs(zero - NO_MOTION) > 6).any()))


def _at(image: NDArray[np.float32], y: Any, x: Any) -> NDArray[np.float32]:
    """Bilinear samples of (H,W) at points (n,), the border repeated."""
    height, width = image.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, right = y - top, x - left
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
