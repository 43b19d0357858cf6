"""The geometry of a frame: how large it becomes, and which side is up."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_CREDIBLE_PIXEL_ASPECTS = (Fraction(1, 4), Fraction(4))


def scaled_size(
    width: int, height: int, short_side: int, *, pixel_aspect: Fraction | None = None
) -> tuple[int, int]:
    """(width, height) with the short side at `short_side` pixels, both floored to even numbers.

    The authors' rule (gpu_flow, lines 246-249): 320x240 becomes 340x256. Theirs takes all pixels
    for square; ours keeps the aspect as displayed, so that people keep their proportions.

    Args:
        width, height: as stored, in pixels.
        short_side: in pixels, at least 2.
        pixel_aspect: a pixel's width over its height; None or not credible counts as square.
    """
    if pixel_aspect is None or not is_credible_aspect(pixel_aspect):
        pixel_aspect = Fraction(1)
    shown_width = width * pixel_aspect
    scale = short_side / min(shown_width, Fraction(height))
    return _floor_to_even(shown_width * scale), _floor_to_even(height * scale)


def is_credible_aspect(pixel_aspect: Fraction) -> bool:
    """Whether a pixel may have this width over its height; others are mistakes."""
    least, most = _CREDIBLE_PIXEL_ASPECTS
    return least <= pixel_aspect <= most


def is_turned(matrix: NDArray[np.int32] | None) -> bool:
    """Whether a (3,3) display matrix exchanges width and height."""
    if matrix is None:
        return False
    (a, b), (c, d) = np.abs(matrix[:2, :2].astype(np.int64))
    return bool(a + d < b + c)


def _floor_to_even(length: Fraction) -> int:
    return int(length) // 2 * 2


def upright(image: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Turn and mirror (H,W,3) as a (3,3) display matrix [[a,b,u],[c,d,v],[x,y,w]] says.

    A display matrix (ISO/IEC 14496-12, 6.2.2) moves the point (x, y), y downwards, to
    (a x + c y, b x + d y). Other angles than right ones are rounded to the nearest.
    """
    if matrix is None:
        return image
    (a, b), (c, d) = matrix[:2, :2].astype(np.int64)
    if not is_turned(matrix):
        mirror_x, mirror_y = a < 0, d < 0
    else:
        image = image.transpose(1, 0, 2)
        mirror_x, mirror_y = c < 0, b < 0
    return np.ascontiguousarray(image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])
