"""A video's frames -> its improved trajectories.

frame, next frame -> flow -> homography -> the next frame, stabilised -> flow without the camera
on each scale:       histograms -> follow -> rows of 436 columns
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import numpy as np

from stresnet.errors import UsageError
from stresnet.idt.histograms import CellHistograms
from stresnet.idt.layout import PATCH, SCALE_STEP, SCALES, Float32, Grey, optional
from stresnet.idt.motion import Camera, DenseFlow, stabilised
from stresnet.idt.tracking import Tracks, rows

cv2 = optional("cv2")

Field = TypeVar("Field", Grey, Float32)


def iter_trajectories(frames: Iterable[Grey]) -> Iterator[Float32]:
    """Yield (n, 436) for each frame but the first: the trajectories that end there, see `layout`.

    Their place in time, column 9, is left 0: the video's length is known only at its end.

    Args:
        frames: (H, W) uint8 of one size, at least 32 pixels each way.

    Raises:
        UsageError: the frames are smaller.
    """
    flow_between, camera = DenseFlow(), Camera()
    before: Grey | None = None
    scales: list[_Scale] = []
    for number, frame in enumerate(frames):
        if before is None:
            scales = [_Scale(*size) for size in scale_sizes(*frame.shape)]
        else:
            flow = flow_between(before, frame)
            homography = camera.homography(before, frame, flow)
            still_flow = flow_between(before, stabilised(before, frame, homography))
            yield np.concatenate(
                [scale.follow(flow, still_flow, number, frame.shape) for scale in scales]
            )
        seen = frame
        for scale in scales:
            seen = scale.see(seen)
        before = frame


def scale_sizes(height: int, width: int) -> list[tuple[float, int, int]]:
    """Return (pixels of the frame per pixel of the scale, height, width), the finest scale first.

    Raises:
        UsageError: the frame is smaller than the patch around a point.
    """
    if min(height, width) < PATCH:
        raise UsageError(
            f"frames of {width}x{height} pixels, expected at least {PATCH} each way",
            remedy="enlarge them",
        )
    factors = [SCALE_STEP**level for level in range(SCALES)]
    sizes = [(factor, round(height / factor), round(width / factor)) for factor in factors]
    return [size for size in sizes if min(size[1:]) >= PATCH]


class _Scale:
    """The points of one scale, and the frame they lie on."""

    def __init__(self, factor: float, height: int, width: int) -> None:
        self._factor, self._size = np.float32(factor), (width, height)
        self._histograms = CellHistograms(height, width)
        self._tracks = Tracks(height, width)
        self._frame: Grey

    def see(self, frame: Grey) -> Grey:
        """Take the next finer scale's frame, start points on it, and return it in this size."""
        self._frame = self._resized(frame)
        self._tracks.sample(self._frame)
        return self._frame

    def follow(
        self, flow: Float32, still_flow: Float32, number: int, shape: tuple[int, ...]
    ) -> Float32:
        """Follow the flow of the whole frame from the frame seen to the next one, `number`."""
        here, still = (
            np.stack([self._resized(part) for part in field], dtype=np.float32) / self._factor
            for field in (flow, still_flow)
        )
        finished = self._tracks.follow(here, still, self._histograms(self._frame, still))
        height, width = shape
        return rows(
            finished, scale=float(self._factor), last_frame=number, height=height, width=width
        )

    def _resized(self, field: Field) -> Field:
        if field.shape == self._size[::-1]:
            return field
        return cast(Field, cv2.resize(field, self._size, interpolation=cv2.INTER_LINEAR))
