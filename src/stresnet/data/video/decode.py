"""A video file -> upright RGB frames of one size, with their times.

    file --(video_file)--> packets --> pictures --(short side 256, upright)--> frames

What can be decoded of a damaged file is decoded, and a warning tells the loss; what yields no
frame at all is a `VideoError`. This, `video_file` and `camera` are the only readers on PyAV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stresnet.data.video.container import opened_video, printable
from stresnet.data.video.geometry import scaled_size, upright
from stresnet.errors import UsageError, VideoError

MAX_ASPECT = 16  # long side / short side; at short side 256, no frame is longer than 4096
MAX_FRAMES = 100_000  # about an hour; a forged file must come to an end
MAX_FRAMES_IN_MEMORY = 10_000  # at 340x256 pixels, 2.6 GB

# Bicubic over the whole footprint of a pixel; the other flags make every processor agree.
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
_DEFAULT_RATE = Fraction(25)  # for the few files that tell neither times nor a rate


class FrameTimes:
    """Seconds after the first frame; strictly increasing, whatever the stamps are.

    Args:
        step: the nominal time between two frames, in seconds.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._origin: float | None = None
        self._last = -step

    def time_of(self, stamp: float | None) -> float:
        """The next frame's time, given its stamp in seconds.

        A missing stamp, or one that does not go forward, counts as one step after the last frame.
        """
        time = expected = self._last + self._step
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp - expected
            time = stamp - self._origin
        self._last = time if time > self._last else expected
        return self._last


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `image` (H,W,3) uint8 RGB, `time` in seconds after the first frame."""

    image: NDArray[np.uint8]
    time: float


@dataclass(frozen=True, eq=False)
class Video:
    """A whole video: `frames` (N,H,W,3) uint8 RGB, `times` (N,) float64 in seconds, increasing."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


def read_video(
    path: Path,
    *,
    short_side: int = 256,
    max_frames: int = MAX_FRAMES_IN_MEMORY,
) -> Video:
    """Decode a whole file into memory; arguments and errors as in `iter_frames`."""
    warnings: list[str] = []
    frames = list(
        iter_frames(
            path,
            short_side=short_side,
            max_frames=max_frames,
            on_warning=warnings.append,
        )
    )
    return Video(
        frames=np.stack([frame.image for frame in frames]),
        times=np.array([frame.time for frame in frames]),
        warnings=tuple(warnings),
    )


def iter_frames(
    path: Path,
    *,
    short_side: int = 256,
    max_frames: int = MAX_FRAMES,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> Iterator[Frame]:
    """Decode a file frame by frame, in the order of presentation, in bounded memory.

    The short side becomes `short_side` pixels by `scaled_size`; the rotation that a phone writes
    beside the pictures is applied. Of several video streams, the default one is taken, else the
    first. Fields are not deinterlaced, HDR is not tone-mapped, transparency is dropped.

    Args:
        path: a regular file in one of `video_file.CONTAINERS`, coded with one of its `CODECS`.
        short_side: in pixels, at least 2.
        max_frames: stop after so many, with a warning if the file goes on.
        on_warning: is given one sentence for each kind of loss, after the last frame.

    Yields:
        At least one `Frame`; all images have one size, the times increase strictly.

    Raises:
        VideoError: no frame can be had from the file; the message says why.
        UsageError: an argument makes no sense.
    """
    if short_side < 2 or max_frames < 1:
        raise UsageError(
            f"short_side={short_side}, max_frames={max_frames}; expected at least 2 and 1"
        )
    name, losses = printable(path), _Losses()
    with opened_video(path) as (container, stream):
        pictures = _pictures(container, stream, losses)
        frames = _scaled(pictures, stream, short_side, name, losses)
        yield from islice(frames, max_frames)
        if next(frames, None) is not None:
            on_warning(f"it goes on after {max_frames} frames; the rest is not read")
        else:
            losses.note_early_end(container, stream)
    if not losses.decoded:
        raise VideoError(
            f"{name}: no frame can be decoded ({losses.reason})",
            remedy="copy it again, or remove it",
        )
    for sentence in losses.sentences():
        on_warning(sentence)


def frames_of_array(
    images: NDArray[np.uint8], *, fps: float, short_side: int = 256
) -> Iterator[Frame]:
    """Frames of a video that is in memory: (N,H,W,3) uint8 RGB, scaled as those of a file are.

    Raises:
        UsageError: the array has another shape or type, or `fps` is not positive.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not images.size:
        raise UsageError(
            f"an array of shape {images.shape} and type {images.dtype}, "
            "expected frames (N, H, W, 3) uint8, at least one"
        )
    if not fps > 0:
        raise UsageError(f"{fps} frames a second, expected more than 0")
    scaler = VideoReformatter()
    size = scaled_size(images.shape[2], images.shape[1], short_side)
    for number, image in enumerate(images):
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        yield Frame(to_rgb(scaler, picture, size), number / fps)


def library_versions() -> dict[str, str]:
    """Versions of the decoder, for the record of how frames were made."""
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return {"av": av.__version__, "libavcodec": codec}


@dataclass
class _Losses:
    """What was lost on the way, to be told once at the end."""

    decoded: int = 0
    until: float = 0.0  # seconds
    left_out: int = 0  # packets that the file's edit list hides on purpose
    sizes: set[tuple[int, int]] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    early_end: str = ""

    @property
    def reason(self) -> str:
        return self.errors[0] if self.errors else "it ends early"

    def note_early_end(self, container: InputContainer, stream: VideoStream) -> None:
        """Compare with what the header announces: frames, or only seconds (Matroska)."""
        announced = stream.frames - self.left_out
        seconds = (container.duration or 0) / av.time_base
        if stream.frames:
            # Headers of sound files count a frame too many now and then.
            if announced - self.decoded > 1 + announced // 100:
                self.early_end = f" of {announced} announced"
        elif self.until < 0.9 * seconds:  # sound may end a little later
            self.early_end = f", {self.until:.1f} of {seconds:.1f} seconds"

    def sentences(self) -> Iterator[str]:
        if self.errors or self.early_end:
            yield (
                f"damaged or truncated: {self.decoded} frames decoded{self.early_end} "
                f"({self.reason})"
            )
        if len(self.sizes) > 1:
            sizes = ", ".join(f"{width}x{height}" for width, height in sorted(self.sizes))
            yield f"the size changes ({sizes}); all are scaled to the first frame's"


def _pictures(
    container: InputContainer, stream: VideoStream, losses: _Losses
) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            losses.left_out += packet.is_discard
            if packet.is_corrupt:
                losses.errors.append("a part of it is cut off or unreadable")
            decoded = packet.decode()
        except StopIteration:
            return
        except FFmpegError as error:
            losses.errors.append(str(error.strerror))
        else:
            yield from decoded


def _scaled(
    pictures: Iterator[VideoFrame],
    stream: VideoStream,
    short_side: int,
    name: str,
    losses: _Losses,
) -> Iterator[Frame]:
    scaler = VideoReformatter()
    step = float(1 / (stream.average_rate or _DEFAULT_RATE))
    times = FrameTimes(step)
    size: tuple[int, int] | None = None
    for picture in pictures:
        size = size or _target_size(picture, stream, short_side, name)
        try:
            image = to_rgb(scaler, picture, size)
        except FFmpegError as error:  # a pixel format that cannot be converted
            losses.errors.append(str(error.strerror))
            continue
        losses.decoded += 1
        losses.sizes.add((picture.width, picture.height))
        time = times.time_of(_stamp(picture, stream))
        losses.until = time + step
        yield Frame(upright(image, _display_matrix(picture)), time)


def _target_size(
    picture: VideoFrame, stream: VideoStream, short_side: int, name: str
) -> tuple[int, int]:
    size = scaled_size(
        picture.width, picture.height, short_side, pixel_aspect=stream.sample_aspect_ratio
    )
    if max(size) > MAX_ASPECT * short_side:
        raise VideoError(
            f"{name}: pictures of {picture.width}x{picture.height} pixels, "
            f"expected a long side of at most {MAX_ASPECT} short sides",
            remedy="crop it, or remove it",
        )
    return size


def to_rgb(
    scaler: VideoReformatter, picture: VideoFrame, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A picture -> (H,W,3) RGB, `size` being (width, height)."""
    scaled = scaler.reformat(picture, *size, "rgb24", interpolation=_SCALING, threads=1)
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def _display_matrix(picture: VideoFrame) -> NDArray[np.int32] | None:
    matrix: Any = picture.side_data.get("DISPLAYMATRIX")
    return None if matrix is None else np.frombuffer(matrix, np.int32).reshape(3, 3)


def _stamp(picture: VideoFrame, stream: VideoStream) -> float | None:
    # AVI stores no presentation times, and FFmpeg's guess goes wrong with B-frames; the time at
    # which a picture leaves the decoder is right up to a constant.
    ticks = picture.dts if stream.container.format.name == "avi" else picture.pts
    if ticks is None or picture.time_base is None:
        return None
    return float(ticks * picture.time_base)
