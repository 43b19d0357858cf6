"""How pictures are to be shown: their size, which side is up, and what a file asks for in addition.

Aspect, rotation and the crop of the codec are applied (`decode`). The rest is named in a warning.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273
PROGRESSIVE = (0, 1)  # of FFmpeg's field orders; 0 is unknown
INTERLACED = "interlaced: fields are not put in order, so edges that move are combs"
TRANSPARENT = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16")  # pixel formats
HEAD = 1 << 20  # bytes of a Matroska file in which its tracks are described
MOST_BOX = 64 << 20  # bytes of an mp4's description that are looked through
MATROSKA_CROPS = (b"\x54\xaa", b"\x54\xbb", b"\x54\xcc", b"\x54\xdd")
MATROSKA_CLUSTER = b"\x1f\x43\xb6\x75"  # the first pictures; what comes before describes them
_CREDIBLE_PIXEL_ASPECTS = (Fraction(1, 4), Fraction(4))


def display_matrix(picture: VideoFrame) -> NDArray[np.int32] | None:
    """Return the (3,3) matrix that turns a picture upright, if it has one."""
    matrix: Any = picture.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(matrix, np.int32).reshape(3, 3)


def not_applied(
    container: InputContainer, stream: VideoStream, picture: VideoFrame
) -> Iterator[str]:
    """Yield one sentence for each way of showing that the file asks for and does not get.

    Args:
        picture: the first one.
    """
    decoder = stream.codec_context
    if picture.interlaced_frame or int(decoder.field_order) not in PROGRESSIVE:
        yield INTERLACED
    transfer = HDR_TRANSFERS.get(int(picture.color_trc)) or HDR_TRANSFERS.get(decoder.color_trc)
    if transfer:
        yield f"HDR ({transfer}): not tone-mapped, so colours are pale"
    aspect = stream.sample_aspect_ratio
    if aspect and not is_credible_aspect(aspect):
        yield f"its header calls pixels {aspect} as wide as high; they are taken as square"
    matrix = display_matrix(picture)
    if matrix is not None and not _is_right_angle(matrix):
        yield "it is to be turned by an angle that is not a right one; the nearest is taken"
    if _is_cropped(Path(container.name), container.format.name):
        yield "the container asks for a part of the picture; all of it is used"
    has_alpha = picture.format.name.startswith(TRANSPARENT) and container.format.name != "gif"
    if has_alpha or stream.metadata.get("alpha_mode") == "1":  # webm keeps it beside the pictures
        yield "transparency is dropped"
    if picture.side_data.get("STEREO3D") is not None:
        yield "stereoscopic: both views are seen as one picture"
    if picture.side_data.get("SPHERICAL") is not None:
        yield "spherical: the picture is used as it is stored"


def _is_right_angle(matrix: NDArray[np.int32]) -> bool:
    entries = np.abs(matrix[:2, :2].astype(np.int64))
    return bool(min(entries.trace(), entries[::-1].trace()) <= 0.01 * entries.max())


def _is_cropped(path: Path, format: str) -> bool:
    """Whether an mp4 has a clean aperture (`clap`), or a Matroska file crops pixels."""
    with path.open("rb") as file:
        if "mp4" in format:
            for name, size in _boxes(path.stat().st_size, file.read, file.seek):
                if name == b"moov":
                    return b"\x00\x00\x00\x28clap" in file.read(min(size, MOST_BOX))
        elif "matroska" in format:
            head = file.read(HEAD).partition(MATROSKA_CLUSTER)[0]
            return any(crop + bytes([0x80 + n]) in head for crop in MATROSKA_CROPS for n in (1, 2))
    return False


def _boxes(length: int, read: Any, seek: Any) -> Iterator[tuple[bytes, int]]:
    """Yield name and size of the content of each outer box of an mp4; the file stands before it."""
    place = 0
    while place + 8 <= length:
        seek(place)
        size, name = struct.unpack(">I4s", read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(read(8)), 16
        size = size or length - place
        if size < head:
            return
        yield name, size - head
        place += size


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
    (a x + c y, b x + d y). Angles are rounded to the nearest right angle.
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
