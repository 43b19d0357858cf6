"""Frames and flow in memory, as the JPEGs that a store would hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import Indices
from stresnet.data.store.format import NO_MOTION
from stresnet.data.store.jpeg import decode_grey, decode_rgb, encode_flow, encode_rgb
from stresnet.data.video.decode import Frame, mean_step
from stresnet.flow import AUTHORS, TVL1Parameters, grey, to_bytes, tv_l1
from stresnet.flow.quantize import stored_scale

Bytes = NDArray[np.uint8]
Picture = TypeVar("Picture", bound=Frame)


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A frame at `time`, in seconds, of `size` (H, W) pixels.

    Attributes:
        rgb: the frame, a JPEG.
        flow: from the frame before it to this one, a JPEG as in the store; empty for a video's
            first frame.
    """

    time: float
    size: tuple[int, int]
    rgb: bytes
    flow: bytes


def encode_frames(
    frames: Iterable[Picture],
    *,
    flow: TVL1Parameters = AUTHORS,
    threads: int | None = None,
    device: str = "auto",
    at_once: int = 16,
    steps: Callable[[Picture, Picture], int] | None = None,
) -> Iterator[EncodedFrame]:
    """Compute the optical flow between frames, and encode both.

    Args:
        threads: for the optical flow; None is one for each core. The result does not depend on it.
        device: where the optical flow is computed (see `stresnet.device`).
        at_once: frames in memory at a time, at least 1.
        steps: how many frames apart two frames are; flow is divided by it. None: 1.
    """
    rest = iter(frames)
    last: Picture | None = None
    luma_of_last: NDArray[np.uint8] | None = None  # (1,H,W) grey
    while block := list(islice(rest, at_once)):
        luma = grey(np.stack([frame.image for frame in block]))
        joined = luma if luma_of_last is None else np.concatenate([luma_of_last, luma])
        fields = tv_l1(joined, parameters=flow, device=device, threads=threads)  # (n,2,H,W)
        fields *= stored_scale(min(fields.shape[2:]))
        if steps is not None:
            pairs = pairwise(block if last is None else [last, *block])
            gaps = np.array([steps(*pair) for pair in pairs], np.float32)
            fields = fields / gaps[:, None, None, None]
        flows = [encode_flow(field) for field in to_bytes(fields)]
        if last is None:
            flows.insert(0, b"")
        for frame, encoded in zip(block, flows, strict=True):
            yield EncodedFrame(frame.time, luma.shape[1:], encode_rgb(frame.image), encoded)
        last, luma_of_last = block[-1], luma[-1:]


class EncodedVideo:
    """Consecutive encoded frames, at least one, as a video for the network."""

    def __init__(self, frames: Sequence[EncodedFrame], warnings: Sequence[str] = ()) -> None:
        self._frames = tuple(frames)
        self.warnings = tuple(warnings)
        self.num_frames = len(self._frames)
        self.height, self.width = self._frames[0].size

    @property
    def times(self) -> NDArray[np.float64]:
        """(N,) seconds, as in the video."""
        return np.array([frame.time for frame in self._frames])

    @property
    def fps(self) -> float:
        """Mean frames per second, without pauses; 0 for a single frame, which has no rate."""
        step = mean_step(self.times)
        return 1 / step if step else 0.0

    @property
    def duration(self) -> float:
        """Seconds from the first frame on, the last shown for the mean interval; 0 for just one."""
        return self._frames[-1].time - self._frames[0].time + mean_step(self.times)

    def frames(self, indices: Indices) -> Bytes:
        """(n,) -> (n,H,W,3) RGB."""
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        _decode(decode_rgb, [self._frames[k].rgb for k in indices], out)
        return out

    def flow(self, indices: Indices) -> Bytes:
        """(n,) -> (n,2,H,W), x then y, in 40/255 pixels a step; no motion in a single frame."""
        if self.num_frames == 1:
            return still(len(indices), self.height, self.width)
        out = np.empty((len(indices), 2, self.height, self.width), np.uint8)
        _decode(decode_grey, [self._frames[k + 1].flow for k in indices], out)
        return out


def still(fields: int, height: int, width: int) -> Bytes:
    """(fields,2,H,W): flow of no motion."""
    return np.full((fields, 2, height, width), NO_MOTION, np.uint8)


def _decode(decode: Callable[[bytes, Bytes], None], jpegs: Sequence[bytes], out: Bytes) -> None:
    place_of: dict[int, int] = {}  # chunks overlap: most fields are asked for several times
    for place, jpeg in enumerate(jpegs):
        first = place_of.setdefault(id(jpeg), place)
        if first < place:
            out[place] = out[first]
        else:
            decode(jpeg, out[place])
