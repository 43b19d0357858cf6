"""A video file -> upright RGB frames of one size, with their times.

    file --(container)--> packets --> pictures --(short side 256, upright)--> frames

What can be decoded of a damaged file is decoded, and a warning says what was lost. A file without a
single frame is a `VideoError`. Only the modules of this folder use PyAV to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stresnet.data.video.container import PacketCount, opened_video
from stresnet.data.video.presentation import (
    INTERLACED,
    display_matrix,
    is_turned,
    not_applied,
    scaled_size,
    upright,
)
from stresnet.errors import UsageError, VideoError, printable

MAX_ASPECT = 16  # long side / short side; at short side 256, no frame is longer than 4096
MAX_FRAMES = 1_000_000  # eleven hours at 25 frames per second; a forged file must come to an end

# Bicubic over the whole footprint of a pixel; the other flags make every processor agree.
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
_DEFAULT_RATE = Fraction(25)  # for the few files that have neither times nor a rate
RESTART = 1.0  # seconds that a clock may go back without having been restarted
PAUSE, PAUSE_STEPS = 1.0, 5  # seconds, and usual steps, above which the recording had paused


class FrameTimes:
    """Seconds since the file's start: strictly increasing, whatever the stamps are.

    Args:
        step: the nominal time between two frames, in seconds.
        start: the stamp that players show as 0, in seconds; None: the first frame's.
    """

    def __init__(self, step: float, start: float | None = None) -> None:
        self._step = step
        self._start = start
        self._last = -step

    def time_of(self, stamp: float | None) -> float:
        """Return the next frame's time, given its stamp in seconds.

        A frame without a stamp, or with one that does not go forward, is shown one step after the
        last frame. A clock that goes back by more than a second was restarted, and runs on.
        """
        time = expected = self._last + self._step
        if stamp is not None:
            if self._start is None or stamp - self._start < self._last - RESTART:
                self._start = stamp - expected
            time = stamp - self._start
        self._last = time if time > self._last and time >= 0 else expected
        return self._last


def mean_step(times: NDArray[np.float64]) -> float:
    """Return the mean seconds between two pictures at `times` (N,); 0 for a single one.

    Pauses, in which a player leaves the last picture standing, do not count.
    """
    steps = np.diff(times)
    if not len(steps):
        return 0.0
    return float(steps[steps <= max(PAUSE, PAUSE_STEPS * np.median(steps))].mean())


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `image` (H,W,3) uint8 RGB, `time` in seconds since the start of the file."""

    image: NDArray[np.uint8]
    time: float


def iter_frames(
    path: Path,
    *,
    short_side: int = 256,
    max_frames: int = MAX_FRAMES,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> Iterator[Frame]:
    """Decode a file frame by frame, in the order of presentation, in bounded memory.

    The short side becomes `short_side` pixels by `scaled_size`. The rotation that phones store
    beside the pictures is applied. Of several video streams, the default one is taken, else the
    first. Fields are not deinterlaced, HDR is not tone-mapped, transparency is dropped, each with
    a warning (see `presentation`).

    Times are those that a player shows: a video that begins after the sound does not begin at 0.

    Args:
        path: a regular file in one of `container.CONTAINERS`, coded with one of its `CODECS`.
        short_side: in pixels, at least 2.
        max_frames: stop after this many, with a warning if the file is longer.
        on_warning: called with one sentence for each kind of loss, after the last frame.

    Yields:
        At least one `Frame`. All images have one size, and the times increase strictly.

    Raises:
        VideoError: no frame of the file can be decoded; the message says why.
        UsageError: an argument makes no sense.
    """
    if short_side < 2 or max_frames < 1:
        raise UsageError(
            f"short_side={short_side}, max_frames={max_frames}; expected at least 2 and 1"
        )
    name = printable(path)
    with opened_video(path) as (container, stream):
        losses = _Losses(PacketCount(container, stream))
        pictures = _pictures(container, stream, losses)
        frames = _scaled(pictures, container, stream, short_side, name, losses)
        yield from islice(frames, max_frames)
        is_longer = next(frames, None) is not None
        sentences = losses.sentences(to_the_end=not is_longer)
    if not losses.decoded:
        reason = losses.errors[0] if losses.errors else "it ends early"
        raise VideoError(
            f"{name}: no frame can be decoded ({reason})", remedy="copy it again, or remove it"
        )
    if is_longer:
        on_warning(f"it is longer than {max_frames} frames; the rest is not read")
    for sentence in sentences:
        on_warning(sentence)


def frames_of_array(
    images: NDArray[np.uint8], *, fps: float, short_side: int = 256
) -> Iterator[Frame]:
    """Frames of a video that is in memory: (N,H,W,3) uint8 RGB, scaled like those of a file.

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
    """Notes what is missing from a file, or not shown as it asks, while it is read."""

    packets: PacketCount
    decoded: int = 0
    not_applied: list[str] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def sentences(self, *, to_the_end: bool) -> list[str]:
        reason = self.errors[0] if self.errors else ""
        found = [self.packets.loss(self.decoded, reason, to_the_end=to_the_end)]
        if len(self.sizes) > 1:
            sizes = ", ".join(f"{width}x{height}" for width, height in sorted(self.sizes))
            found.append(f"the size changes ({sizes}); all are scaled to the first frame's")
        return [sentence for sentence in found if sentence] + self.not_applied


def _pictures(
    container: InputContainer, stream: VideoStream, losses: _Losses
) -> Iterator[VideoFrame]:
    packets = container.demux()  # of all streams: together they show where the file ends
    while True:
        try:
            packet = next(packets)
            losses.packets.add(packet)
            if packet.stream.index != stream.index:
                continue
            decoded = stream.decode(packet)
        except StopIteration:
            return
        except FFmpegError as error:
            losses.errors.append(str(error.strerror))
        else:
            yield from decoded


def _scaled(
    pictures: Iterator[VideoFrame],
    container: InputContainer,
    stream: VideoStream,
    short_side: int,
    name: str,
    losses: _Losses,
) -> Iterator[Frame]:
    scaler = VideoReformatter()
    times = frame_times(container, stream)
    stamp_of = _Stamps(stream)
    size: tuple[int, int] = (0, 0)
    turned_at_first = False
    for picture in pictures:
        matrix = display_matrix(picture)
        if not losses.decoded:
            size, turned_at_first = (
                _target_size(picture, stream, short_side, name),
                is_turned(matrix),
            )
            losses.not_applied = list(not_applied(container, stream, picture))
        elif picture.interlaced_frame and INTERLACED not in losses.not_applied:
            losses.not_applied.append(INTERLACED)
        try:
            keeps = is_turned(matrix) == turned_at_first  # a phone may be turned on the way
            image = to_rgb(scaler, picture, size if keeps else size[::-1])
        except FFmpegError as error:  # a pixel format that cannot be converted
            losses.errors.append(str(error.strerror))
            continue
        losses.decoded += 1
        losses.sizes.add((picture.width, picture.height))
        yield Frame(upright(image, matrix), times.time_of(stamp_of(picture)))


def frame_times(container: InputContainer, stream: VideoStream) -> FrameTimes:
    """Return the clock of a video stream, which starts when the file starts."""
    step = nominal_step(stream)
    start = container.start_time
    if start is not None and start < 0 and container.format.name != "mpegts":
        # The sound's run-up, which players skip. In a transport stream, a clock that overflows.
        return FrameTimes(step, min(_start_of(stream), 0.0))
    return FrameTimes(step, None if start is None else start / av.time_base)


def nominal_step(stream: VideoStream) -> float:
    """Return the seconds from one picture to the next, as a video stream's header says."""
    return float(1 / (stream.average_rate or _DEFAULT_RATE))


def _start_of(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 0))


class _Stamps:
    """The time stamps of decoded pictures, in seconds."""

    def __init__(self, stream: VideoStream) -> None:
        # AVI stores no presentation times, and FFmpeg's guess goes wrong with B-frames; the time at
        # which a picture leaves the decoder is right up to a constant.
        self._is_avi = stream.container.format.name == "avi"
        self._start = _start_of(stream)
        self._delay: float | None = None if self._is_avi else 0.0

    def __call__(self, picture: VideoFrame) -> float | None:
        ticks = picture.dts if self._is_avi else picture.pts
        if ticks is None or picture.time_base is None:
            return None
        stamp = float(ticks * picture.time_base)
        if self._delay is None:
            self._delay = stamp - self._start
        return stamp - self._delay


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
