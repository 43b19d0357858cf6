"""Words, bars and heat on pictures, drawn with Pillow.

Pictures are (H,W,3) uint8 RGB and are drawn on in place.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
APPEARANCE: Colour = (86, 180, 233)  # the streams' colours, which colour-blind eyes can distinguish
MOTION: Colour = (230, 159, 0)


def draw_text(
    picture: Picture,
    text: str,
    x: int,
    y: int,
    *,
    size: int = 14,
    colour: Colour = WHITE,
    background: Colour | None = BLACK,
) -> int:
    """Write one line with its upper left corner at (x, y) px; return its width in px.

    Args:
        size: of the letters, px.
        background: painted behind the line; None: the picture stays.
    """
    font = _font(size)
    left, _, right, _ = font.getbbox(text)
    ascent, descent = font.getmetrics()
    width, height = int(np.ceil(right - left)) + 4, ascent + descent + 2
    rows, columns = slice(max(y, 0), y + height), slice(max(x, 0), x + width)
    part = picture[rows, columns]
    if not part.size:
        return width
    if background is not None:
        part[:] = background
    canvas = Image.fromarray(part)
    ImageDraw.Draw(canvas).text((2 - left + min(x, 0), 1 + min(y, 0)), text, fill=colour, font=font)
    part[:] = np.asarray(canvas)
    return width


def draw_bar(
    picture: Picture, fraction: float, x: int, y: int, width: int, height: int, colour: Colour
) -> None:
    """A bar of `width` px, filled from the left to `fraction` in [0, 1], the rest dimmed."""
    whole = picture[y : y + height, x : x + width]
    whole[:] = whole // 3
    picture[y : y + height, x : x + round(width * min(max(fraction, 0.0), 1.0))] = colour


def blended(picture: Picture, colours: Picture, opacity: float | NDArray[np.floating]) -> Picture:
    """A new picture: `colours` laid over `picture`.

    Args:
        opacity: in [0, 1], of the whole or (H,W) of each pixel.
    """
    weight = np.asarray(opacity, np.float32)
    weight = weight[..., None] if weight.ndim else weight
    return np.rint(picture * (1 - weight) + colours * weight).astype(np.uint8)


def heat(values: NDArray[np.floating]) -> Picture:
    """(H,W) in [0, 1] -> colours from dark violet over red to yellow, ever lighter."""
    stops = np.array(
        [[13, 8, 60], [110, 10, 130], [200, 45, 90], [245, 130, 45], [252, 250, 160]], np.float32
    )
    places = np.linspace(0, 1, len(stops))
    clipped = np.clip(values, 0, 1)
    channels = [np.interp(clipped, places, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def resized(picture: Picture, height: int, width: int) -> Picture:
    """The picture at another size, smoothed over the whole footprint of a pixel."""
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # a Pillow built without FreeType
        raise ImportError("Pillow lacks FreeType; pip install --force-reinstall pillow")
    return font
