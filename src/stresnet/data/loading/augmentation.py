"""Crops, resizing and flips: the same for both streams and all chunks of a video (section 4.1).

A rule draws one `Crop` for a frame size; `apply` cuts it from RGB frames and flow fields alike,
resizes both to the network's input and mirrors them where the crop says so. The paper's crop sizes
(224, 256, …) are meant for frames whose short side is 256 px; for others they are scaled.

Flow values are pixels per frame of the stored video and are NOT rescaled when a crop is resized, as
in the authors' code: crop sizes then jitter the apparent speed too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stresnet.errors import UsageError
from stresnet.flow.quantize import SHORT_SIDE, negate

# The paper's sizes of crops are those of frames with a short side of SHORT_SIDE pixels.
BASE_CROP = 224  # px
CORNER_CROPS = (256, 224, 192, 168)  # px
JITTER = 0.25  # of the crop's size, and of its distance from a border

CropKind = Literal["scale-jitter", "corner-grid", "corners", "whole"]


@dataclass(frozen=True)
class Crop:
    """A rectangle in pixels of the stored frame, and whether to mirror what is cut out."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False


CropRule = Callable[[int, int, np.random.Generator], Crop]


def scale_jitter_crop(height: int, width: int, rng: np.random.Generator) -> Crop:
    """The paper's crop for appearance and ST-ResNet training, from a frame of height x width px.

    Each side is 224 px +-25 %, drawn independently (so the aspect varies) and capped at the frame.
    "At random from max 25% distance from the image borders": along each axis the crop lies within a
    quarter of its slack from one border or the other, so never in the middle. The authors' code
    reaches the top-left and bottom-right corners only: see `corner_grid_crop`.
    """
    crop_height, crop_width = _jittered_sides(height, width, rng)
    top = round(_near_a_border(rng) * (height - crop_height))
    left = round(_near_a_border(rng) * (width - crop_width))
    return Crop(top, left, crop_height, crop_width, _coin(rng))


def corner_grid_crop(height: int, width: int, rng: np.random.Generator) -> Crop:
    """The released code's form of `scale_jitter_crop`.

    Positions come from two grids of 20 x 20 places, both coordinates in the first quarter of the
    slack or both in the last: only the top-left and the bottom-right corner regions occur.
    """
    crop_height, crop_width = _jittered_sides(height, width, rng)
    far = 0.75 * int(rng.integers(2))
    down, right = far + rng.integers(20, size=2) / 19 * 0.25
    top, left = int((height - crop_height) * down), int((width - crop_width) * right)
    return Crop(top, left, crop_height, crop_width, _coin(rng))


def corner_crop(height: int, width: int, rng: np.random.Generator) -> Crop:
    """The motion stream's crop: each side one of 256, 224, 192, 168 px, at a corner or centred."""
    crop_height, crop_width = (
        _scaled(CORNER_CROPS[rng.integers(4)], height, width, cap) for cap in (height, width)
    )
    down, right = height - crop_height, width - crop_width
    places = ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2))
    top, left = places[rng.integers(5)]
    return Crop(top, left, crop_height, crop_width, _coin(rng))


def whole_frame(height: int, width: int) -> Crop:
    """The whole frame, for fully convolutional testing."""
    return Crop(0, 0, height, width)


def flipped_whole_frame(height: int, width: int, rng: np.random.Generator) -> Crop:
    """The whole frame, mirrored half of the time: training without crops."""
    return Crop(0, 0, height, width, _coin(rng))


CROP_RULES: Mapping[CropKind, CropRule] = MappingProxyType(
    {
        "scale-jitter": scale_jitter_crop,
        "corner-grid": corner_grid_crop,
        "corners": corner_crop,
        "whole": flipped_whole_frame,
    }
)


def apply(
    rgb: NDArray[np.uint8], flow: NDArray[np.uint8], crop: Crop, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Cut `crop` from every chunk, resize it to `size` (height, width) and mirror it if it says so.

    rgb (T,H,W,3) and flow (T,L,2,H,W), 8-bit, become rgb (T,3,height,width) and flow
    (T,2L,height,width), uint8, the flow channels interleaved: 2j = x of field j, 2j+1 = its y.

    Raises:
        UsageError: the arrays' shapes do not fit together, or the crop leaves the frame.
    """
    chunks, height, width, _ = rgb.shape
    if flow.shape[:1] + flow.shape[2:] != (chunks, 2, height, width):
        raise UsageError(
            f"rgb {rgb.shape} and flow {flow.shape}: expected (T,H,W,3) and (T,L,2,H,W)"
        )
    return apply_to_rgb(rgb, crop, size), apply_to_flow(flow, crop, size)


def apply_to_rgb(rgb: NDArray[np.uint8], crop: Crop, size: tuple[int, int]) -> Tensor:
    """`apply` to frames alone: (T,H,W,3) -> (T,3,height,width).

    Raises:
        UsageError: the crop leaves the frame.
    """
    rows, columns = _window(crop, *rgb.shape[1:3])
    images = _resize(_tensor(rgb[:, rows, columns]).permute(0, 3, 1, 2), size)
    return images.flip(-1) if crop.flip else images


def apply_to_flow(flow: NDArray[np.uint8], crop: Crop, size: tuple[int, int]) -> Tensor:
    """`apply` to flow alone: (T,L,2,H,W) -> (T,2L,height,width).

    Raises:
        UsageError: the crop leaves the frame.
    """
    rows, columns = _window(crop, *flow.shape[-2:])
    # Four planes at a time: torch resizes 8-bit images of up to four channels twice as fast as
    # single planes. A chunk's 2L = 20 planes always divide by four.
    planes = _tensor(flow[..., rows, columns]).reshape(-1, 4, crop.height, crop.width)
    fields = _resize(planes, size).reshape(flow.shape[0], -1, *size)
    return _mirror_flow(fields) if crop.flip else fields


def mirror(rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror left and right: (...,3,H,W) and (...,2L,H,W), uint8; horizontal flow is negated."""
    return rgb.flip(-1), _mirror_flow(flow)


def _mirror_flow(flow: Tensor) -> Tensor:
    flow = flow.flip(-1)
    flow[..., 0::2, :, :] = negate(flow[..., 0::2, :, :])
    return flow


def _window(crop: Crop, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of `crop` in a frame of height x width px."""
    rows = slice(crop.top, crop.top + crop.height)
    columns = slice(crop.left, crop.left + crop.width)
    if rows.start < 0 or columns.start < 0 or rows.stop > height or columns.stop > width:
        raise UsageError(f"{crop} leaves the frame of {height} x {width} px")
    return rows, columns


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, antialiased: (n,C,h,w) uint8 -> (n,C,*size) uint8.

    torch's 8-bit arithmetic is within one level of rounded float32 arithmetic, has no bias worth
    mentioning (under 0.03 levels) and keeps constants: zero flow stays 128. It takes a third of the
    time: 8 ms instead of 27 for 5 chunks of 256 x 340 px to 224 x 224, on one core.
    """
    if images.shape[-2:] != size:
        images = functional.interpolate(
            images.contiguous(memory_format=torch.channels_last),
            size=size,
            mode="bilinear",
            antialias=True,
        )
    return images.contiguous()


def _tensor(array: NDArray[np.uint8]) -> Tensor:
    # torch warns about read-only arrays, because it cannot keep them so.
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _jittered_sides(height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a crop: 224 px +-25 % each, at most the frame's."""
    tall, wide = BASE_CROP * rng.uniform(1 - JITTER, 1 + JITTER, size=2)
    return _scaled(tall, height, width, height), _scaled(wide, height, width, width)


def _scaled(pixels: float, height: int, width: int, cap: int) -> int:
    """`pixels` of a frame with short side 256, in pixels of this frame; from 1 to `cap`."""
    return min(max(1, round(pixels * min(height, width) / SHORT_SIDE)), cap)


def _near_a_border(rng: np.random.Generator) -> float:
    """A fraction of the slack, uniform on [0, 1/4] and [3/4, 1]."""
    near = rng.uniform(0, JITTER)
    return float(1 - near if _coin(rng) else near)


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
