"""Pairs of frames whose flow is known exactly, made from one real frame.

The frame is decoded at twice the size, smoothed, and read between its pixels by a cubic spline:
a picture that is defined everywhere. Both frames of a pair are sampled from it, so that neither
is sharper, and get noise of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

# Pixels of the decoded frame for one of a pair's.
SUPERSAMPLING = 2
NOISE = 1.0  # standard deviation, in grey levels of 0 to 255

Floats = npt.NDArray[np.floating]


class Scene(NamedTuple):
    """frames (2,H,W) uint8; flow (2,H,W) float32 in pixels; visible (H,W), in both frames."""

    name: str
    frames: npt.NDArray[np.uint8]
    flow: npt.NDArray[np.float32]
    visible: npt.NDArray[np.bool_]


def scenes(grey: npt.NDArray[np.uint8], seed: int = 0) -> Iterator[Scene]:
    """(2H, 2W) uint8 -> one scene of (H, W) for each kind of motion."""
    noise = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(grey.astype(np.float64), SUPERSAMPLING / 2)
    picture = ndimage.spline_filter(smooth)
    height, width = (length // SUPERSAMPLING for length in grey.shape)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    for name, (u, v) in _fields(x, y).items():
        # What the second frame shows at x + u(x), the first shows at x.
        first, second = _sampled(picture, x + u, y + v), _sampled(picture, x, y)
        seen = _inside(x + u, y + v)
        yield Scene(name, _noisy(first, second, noise), _flow(u, v), seen)
    yield _occlusion(picture, x, y, noise)


def _fields(x: Floats, y: Floats) -> dict[str, tuple[Floats, Floats]]:
    """The motions, in pixels of the frames."""
    height, width = x.shape
    across, down = x - width / 2, y - height / 2
    still = np.zeros_like(x)
    return {
        "shift 0.4 px": (still + 0.37, still - 0.21),
        "shift 4 px": (still + 3.3, still - 1.7),
        "shift 10 px": (still - 9.4, still + 4.6),
        "rotation 2°": (-0.035 * down, 0.035 * across),
        "zoom 3 %": (0.03 * across, 0.03 * down),
        "affine": (0.02 * across + 0.03 * down + 0.7, -0.01 * across + 0.015 * down - 1.2),
        "waves": (2 * np.sin(y / 20), 1.5 * np.cos(x / 25)),
    }


def _occlusion(picture: Floats, x: Floats, y: Floats, noise: np.random.Generator) -> Scene:
    """An ellipse that shows the picture upside down moves over the picture."""
    height, width = x.shape
    front, back = (5.3, -2.6), (-1.4, 0.8)

    def covered(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
        return ((x - width / 2) / (width / 5)) ** 2 + ((y - height / 2) / (height / 4)) ** 2 < 1

    def seen(x: Floats, y: Floats, time: int) -> Floats:
        front_x, front_y = x - time * front[0], y - time * front[1]
        behind = _sampled(picture, x - time * back[0], y - time * back[1])
        before = _sampled(picture, front_x, height - 1 - front_y)
        return np.where(covered(front_x, front_y), before, behind)

    u, v = (np.where(covered(x, y), ours, theirs) for ours, theirs in zip(front, back, strict=True))
    hidden = ~covered(x, y) & covered(x + u - front[0], y + v - front[1])
    frames = _noisy(seen(x, y, 0), seen(x, y, 1), noise)
    return Scene("occlusion", frames, _flow(u, v), _inside(x + u, y + v) & ~hidden)


def _sampled(picture: Floats, x: Floats, y: Floats) -> Floats:
    at = (np.stack([y, x]) + 0.5) * SUPERSAMPLING - 0.5
    sampled: Floats = ndimage.map_coordinates(picture, at, prefilter=False, mode="nearest")
    return sampled


def _inside(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    height, width = x.shape
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def _noisy(first: Floats, second: Floats, noise: np.random.Generator) -> npt.NDArray[np.uint8]:
    frames = np.stack([first, second])
    return np.clip(np.rint(frames + noise.normal(0, NOISE, frames.shape)), 0, 255).astype(np.uint8)


def _flow(u: Floats, v: Floats) -> npt.NDArray[np.float32]:
    return np.stack([u, v]).astype(np.float32)
