"""RGB frames -> an mp4 that browsers play."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.files import atomic_write

# In seconds: 24, 25, 30 and 29.97 frames/s are whole ticks, and MPEG-4 takes no more than 65535.
TICK = Fraction(1, 60_000)
ENCODER = "libx264"
# With its macroblock tree x264 decides by what happens to lie in memory: the same frames then give
# now these bytes, now others. Without it files are a little larger.
OPTIONS = {"crf": "22", "preset": "medium", "x264-params": "mbtree=0"}
PIXELS = "yuv420p"
# The flags, and one thread, make every processor agree.
TO_PIXELS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class VideoWriter:
    """Encodes the frames of one video; see `video_writer`."""

    def __init__(self, container: OutputContainer, fps: float) -> None:
        self._container = container
        self._fps = fps
        self._stream: VideoStream | None = None

    def add(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame (H,W,3) uint8 RGB, shown from `time` in seconds, which must increase.

        Raises:
            UsageError: a side is odd, which the colour format forbids, or the size changes.
        """
        height, width = image.shape[:2]
        stream = self._stream = self._stream or self._opened(height, width)
        if (height, width) != (stream.height, stream.width):
            raise UsageError(
                f"a frame of {width}x{height} pixels, expected {stream.width}x{stream.height}"
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        picture = picture.reformat(format=PIXELS, interpolation=TO_PIXELS, threads=1)
        picture.pts, picture.time_base = round(time / TICK), TICK
        self._container.mux(stream.encode(picture))

    def finish(self) -> None:
        """Write the frames that the encoder still holds.

        Raises:
            UsageError: no frame was added.
        """
        if self._stream is None:
            raise UsageError("a video without a frame")
        self._container.mux(self._stream.encode(None))

    def _opened(self, height: int, width: int) -> VideoStream:
        if height % 2 or width % 2:
            raise UsageError(f"frames of {width}x{height} pixels, expected even sides")
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = cast(VideoStream, self._container.add_stream(ENCODER, rate=rate, options=OPTIONS))
        stream.height, stream.width, stream.pix_fmt = height, width, PIXELS
        stream.codec_context.time_base = TICK
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        return stream


@contextmanager
def video_writer(path: Path, *, fps: float = 25.0) -> Iterator[VideoWriter]:
    """Encode a video frame by frame. It appears at `path` when it is complete, or not at all.

    Args:
        path: the file, ending in .mp4.
        fps: nominal frames per second; each frame has its own time.

    Raises:
        UsageError: another ending, no frame, or `fps` is not above 0.
        EnvironmentProblem: the disk is full or the folder cannot be written, or PyAV was built
            without the encoder of H.264.
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(f"{path}: expected a name that ends in .mp4")
    if not fps > 0:
        raise UsageError(f"{path}: {fps:g} frames a second, expected more than 0")
    if ENCODER not in av.codecs_available:
        raise EnvironmentProblem(
            f"PyAV has no encoder {ENCODER}", remedy="pip install --force-reinstall av"
        )
    with atomic_write(path) as partial:
        # The index comes first, so that a browser can start playing at once.
        options = {"movflags": "+faststart"}
        with av.open(partial, "w", format="mp4", options=options) as container:
            writer = VideoWriter(container, fps)
            yield writer
            writer.finish()
