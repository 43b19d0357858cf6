"""Pictures as JPEG bytes. Only this file calls the codec (libjpeg-turbo, through simplejpeg).

Quality 95 and halved chroma are what OpenCV's `imwrite` did for the authors' frames and flow.
"""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

QUALITY = 95

Bytes = NDArray[np.uint8]


def encode_rgb(image: Bytes) -> bytes:
    """(H,W,3) uint8 RGB -> JPEG."""
    return bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(image), QUALITY, "RGB", colorsubsampling="420")
    )


def encode_grey(image: Bytes) -> bytes:
    """(H,W) uint8 -> JPEG."""
    single_channel = np.ascontiguousarray(image)[..., np.newaxis]
    return bytes(simplejpeg.encode_jpeg(single_channel, QUALITY, "GRAY", colorsubsampling="Gray"))


def encode_flow(field: Bytes) -> bytes:
    """(2,H,W) uint8, x then y -> one JPEG (2H,W), x above y; `decode_grey` gives it back."""
    return encode_grey(field.reshape(-1, field.shape[-1]))


def size_of(data: bytes) -> tuple[int, int]:
    """(H, W) pixels, from a JPEG's header.

    Raises:
        ValueError: the data is not a JPEG.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return int(height), int(width)


def decode_rgb(data: bytes, out: Bytes) -> None:
    """Decode into `out` (H,W,3) uint8 RGB.

    Raises:
        ValueError: the data is damaged, or of another size than `out`.
    """
    _decode(data, out, "RGB", out.shape[:2])


def decode_grey(data: bytes, out: Bytes) -> None:
    """Decode into `out` (..., H,W) uint8; leading axes count as more rows.

    Raises:
        ValueError: the data is damaged, or of another size than `out`.
    """
    _decode(data, out, "GRAY", (out.size // out.shape[-1], out.shape[-1]))


def _decode(data: bytes, out: Bytes, colors: str, size: tuple[int, ...]) -> None:
    height, width = size_of(data)
    if (height, width) != size:
        raise ValueError(f"a picture of {width}x{height} pixels, expected {size[1]}x{size[0]}")
    simplejpeg.decode_jpeg(data, colors, buffer=out)
