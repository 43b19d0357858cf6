"""A video -> its chunks, as the network takes them, in training and in testing.

They are read from anything that serves frames and flow (`FramesAndFlow`): a prepared video, a part
of one, or arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stresnet.data.loading.augmentation import (
    BASE_CROP,
    CROP_RULES,
    CropKind,
    apply,
    apply_to_flow,
    apply_to_rgb,
    mirror,
    whole_frame,
)
from stresnet.data.loading.sampling import (
    HALF,
    Indices,
    flow_indices,
    reflect,
    testing_centres,
    training_centres,
    valid_centres,
)
from stresnet.data.store.format import NO_MOTION
from stresnet.errors import UsageError
from stresnet.flow.quantize import FLOW_FIELDS, SHORT_SIDE

Modality = Literal["rgb", "flow", "both"]


class FramesAndFlow(Protocol):
    """A video that serves single frames and flow fields, by index, in any order, with repeats.

    A video of one frame has no flow; it serves zero motion as its flow field 0.
    """

    @property
    def num_frames(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,H,W,3) RGB."""

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,2,H,W), x then y, quantised by `stresnet.flow.to_bytes`."""


class Cut:
    """Frames `first` ... `last` of a video, both included, as a video of its own."""

    def __init__(self, video: FramesAndFlow, first: int, last: int) -> None:
        self._video, self._first = video, first
        self.num_frames = last - first + 1
        self.height, self.width = video.height, video.width

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,H,W,3) RGB."""
        return self._video.frames(indices + self._first)

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,2,H,W); no motion in a single frame."""
        if self.num_frames == 1:
            return np.full((len(indices), 2, self.height, self.width), NO_MOTION, np.uint8)
        return self._video.flow(indices + self._first)


def segment_of(video: FramesAndFlow, first: int, last: int) -> Cut:
    """Frames `first` ... `last`, and those around them that chunks centred inside need.

    The flow stacks at the ends are real, except where the video itself ends.
    """
    start, stop = max(first - HALF, 0), min(last + HALF, video.num_frames - 1)
    low, high = valid_centres(stop - start + 1)
    inside = first <= start + low and start + high <= last
    return Cut(video, start, stop) if inside else Cut(video, first, last)


def frames_in(times: NDArray[np.float64], start: float, end: float) -> tuple[int, int]:
    """First and last of the frames shown from `start` to before `end`, seconds; at least one.

    Args:
        times: (N,) of the frames, increasing.
    """
    first = min(int(np.searchsorted(times, start - 1e-6)), len(times) - 1)
    last = int(np.searchsorted(times, end - 1e-6)) - 1
    return first, max(first, last)


@dataclass(frozen=True)
class Chunks:
    """T chunks of one video: rgb (T,3,H,W) uint8, flow (T,2L,H,W) uint8 (0 px per frame = 128).

    A modality that was not asked for has no pixels: (T,3,0,0) or (T,2L,0,0).
    """

    rgb: Tensor
    flow: Tensor

    def mirrored(self) -> Chunks:
        """The same chunks seen in a mirror: the second pass of the test protocol."""
        return Chunks(*mirror(self.rgb, self.flow))


def training_chunks(
    video: FramesAndFlow,
    *,
    chunks: int,
    tau: tuple[int, int],
    crop: CropKind,
    size: int,
    rng: np.random.Generator,
    modality: Modality = "both",
) -> Chunks:
    """T = `chunks` chunks at a random stride, start, crop and flip, size x size px.

    Args:
        tau: least and greatest stride, in frames.
        size: side of the network's input, px.
        modality: what to read; the draws, and so the chunks, are the same for each.

    Raises:
        UsageError: an argument makes no sense.
        StoreError: the video is damaged.
    """
    if crop not in CROP_RULES:
        raise UsageError(f"unknown crop {crop!r}", remedy=f"choose from {', '.join(CROP_RULES)}")
    centres = training_centres(video.num_frames, chunks, tau, rng)
    cut = CROP_RULES[crop](video.height, video.width, rng)
    rgb = torch.empty((chunks, 3, 0, 0), dtype=torch.uint8)
    flow = torch.empty((chunks, 2 * FLOW_FIELDS, 0, 0), dtype=torch.uint8)
    if modality != "flow":
        rgb = apply_to_rgb(video.frames(centres), cut, (size, size))
    if modality != "rgb":
        flow = apply_to_flow(_read_flow(video, centres), cut, (size, size))
    return Chunks(rgb, flow)


def testing_chunks(video: FramesAndFlow, *, chunks: int = 25, size: int) -> Chunks:
    """Chunks spread evenly over the video, whole frames (paper, section 4.1).

    The short side becomes 256/224 of `size`, the network's training crop in px, and the aspect is
    kept. Prepared videos have that short side already for size 224 and are not resampled. (The
    released code also squeezes the long side to 448 px where it is longer; we do not.)

    Raises:
        UsageError: an argument makes no sense.
        StoreError: the video is damaged.
    """
    frame = video.height, video.width
    centres = testing_centres(video.num_frames, chunks)
    rgb, fields = video.frames(centres), _read_flow(video, centres)
    return Chunks(*apply(rgb, fields, whole_frame(*frame), testing_size(*frame, size)))


def testing_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width, px, at which a network of input `size` sees a frame when tested."""
    short = round(SHORT_SIDE * size / BASE_CROP)
    scale = short / min(height, width)
    return round(height * scale), round(width * scale)


def _read_flow(video: FramesAndFlow, centres: Indices) -> NDArray[np.uint8]:
    """Flow stacks (T,L,2,H,W) at `centres` (T,)."""
    fields = reflect(flow_indices(centres), max(video.num_frames - 1, 1))
    flow = video.flow(fields.reshape(-1))
    return flow.reshape(*fields.shape, *flow.shape[1:])
