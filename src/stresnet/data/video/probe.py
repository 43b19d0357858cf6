"""What a video file contains, by its packets: nothing is decoded but the first picture.

What headers say about a file's length is often wrong, so all packets are read and counted. That
takes about as long as reading the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stresnet.data.video.container import PacketCount, opened_video
from stresnet.data.video.decode import frame_times, mean_step, nominal_step
from stresnet.data.video.presentation import not_applied, scaled_size

UNEVEN = 0.05  # of all intervals may differ from the usual one by half
LONG_GAP = 1.0  # seconds


@dataclass(frozen=True)
class VideoInfo:
    """What the packets of one video stream show; most codecs put one frame into a packet.

    Attributes:
        codec: the decoder's name.
        width, height: pixels, as stored.
        pixels: of a frame when it is scaled, width times height.
        frames: packets that are there and shown.
        seconds: how long they are shown.
        fps: on average; 0 for a single frame.
        is_uneven: intervals differ, or one is longer than a second.
        not_applied: how the pictures are to be shown, and are not, one sentence each.
        loss: one sentence where packets are missing or damaged, else "".
    """

    codec: str
    width: int
    height: int
    pixels: int
    frames: int
    seconds: float
    fps: float
    is_uneven: bool
    not_applied: tuple[str, ...]
    loss: str


def probe(path: Path, *, short_side: int = 256) -> VideoInfo:
    """Read a video file through without decoding it.

    Args:
        short_side: of the frames when scaled, in pixels; for `VideoInfo.pixels`.

    Raises:
        VideoError: the file cannot be decoded here; the message says why.
    """
    with opened_video(path) as (container, stream):
        count = _Count(container, stream)
        for _ in count.read():
            pass
        width, height = stream.codec_context.width, stream.codec_context.height
        scaled_width, scaled_height = scaled_size(
            width or short_side,  # of a damaged file only
            height or short_side,
            short_side,
            pixel_aspect=stream.sample_aspect_ratio,
        )
        intervals = np.diff(np.sort(count.stamps))
        return VideoInfo(
            codec=stream.codec_context.codec.canonical_name,
            width=width,
            height=height,
            pixels=scaled_width * scaled_height,
            frames=count.packets.pictures,
            seconds=round(count.seconds, 3),
            fps=round(1 / count.step, 3) if count.step else 0.0,
            is_uneven=bool(len(intervals)) and _is_uneven(intervals),
            not_applied=tuple(not_applied(container, stream, count.first)) if count.first else (),
            loss=count.packets.loss(count.packets.pictures, count.trouble),
        )


def lasts_longer(path: Path, seconds: float) -> bool:
    """Return whether a video's pictures last longer than `seconds`.

    Unlike `probe`, read no more packets than needed.

    Raises:
        VideoError: the file cannot be decoded here; the message says why.
    """
    with opened_video(path) as (container, stream):
        count = _Count(container, stream)
        return any(count.span > seconds for _ in count.read()) or count.seconds > seconds + 1e-3


def _is_uneven(intervals: NDArray[np.float64]) -> bool:
    usual = np.median(intervals)
    others = np.count_nonzero(np.abs(intervals - usual) > usual / 2)
    return bool(others > UNEVEN * len(intervals) or intervals.max() > LONG_GAP)


class _Count:
    """What has been read so far.

    Attributes:
        stamps: of the pictures, in seconds, in the order of the file.
        first: the first picture.
        trouble: what went wrong first, or "".
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._times = frame_times(container, stream)
        self._decoding: list[float] = []  # times, in seconds
        self.trouble = ""
        self.packets = PacketCount(container, stream)
        self.stamps: list[float] = []
        self.first: VideoFrame | None = None

    @property
    def step(self) -> float:
        """Mean seconds between two pictures; 0 for a single one.

        Streams without a container may have no times: then the rate that they state counts.
        """
        if not self._decoding and self.packets.pictures > 1:
            return nominal_step(self._stream)
        return mean_step(np.array(self._decoding))

    @property
    def seconds(self) -> float:
        """How long the pictures are shown; the first ones may have no decoding time."""
        pauses = self.span - self.step * (len(self._decoding) - 1) if self._decoding else 0.0
        return self.packets.pictures * self.step + max(pauses, 0.0)

    @property
    def span(self) -> float:
        """Seconds from the first picture so far to the last one."""
        return self._decoding[-1] - self._decoding[0] if self._decoding else 0.0

    def read(self) -> Iterator[None]:
        """Read all packets, one after each yield, and decode up to the first picture."""
        try:
            for packet in self._container.demux():
                if self.packets.add(packet):
                    self._note(packet)
                    yield
        except FFmpegError as error:
            self.trouble = self.trouble or str(error.strerror)

    def _note(self, packet: Packet[Any]) -> None:
        if self.first is None:
            self._decode(packet)
        # Decoding times go forward, so they show where a clock was restarted.
        if packet.dts is not None or self._decoding:
            self._decoding.append(self._times.time_of(_seconds(packet, packet.dts)))
        # AVI has no true presentation times.
        is_avi = self._container.format.name == "avi"
        shown = _seconds(packet, packet.dts if is_avi or packet.pts is None else packet.pts)
        if shown is not None:
            self.stamps.append(shown)

    def _decode(self, packet: Packet[Any]) -> None:
        try:
            self.first = next(iter(self._stream.decode(packet)), None)
        except FFmpegError as error:
            self.trouble = self.trouble or str(error.strerror)


def _seconds(packet: Packet[Any], ticks: int | None) -> float | None:
    return None if ticks is None else float(ticks * packet.time_base)
