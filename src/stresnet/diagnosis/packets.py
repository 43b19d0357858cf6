"""A video's packets, counted without decoding: whether all are there, and how they lie in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stresnet.data.video.container import opened_video

UNEVEN = 0.05  # of all intervals may differ from the usual one by half
LONG_GAP = 1.0  # seconds


@dataclass(frozen=True)
class Packets:
    """What the container tells of one video stream; most codecs put one frame into a packet.

    Attributes:
        codec: the decoder's name.
        width, height: pixels, as stored.
        frames: packets that are there and shown.
        fps: on the average; 0 where there are no times.
        seconds: from the first frame to the last one.
        is_uneven: intervals differ, or one is longer than a second.
        streams: of video, in the file.
        is_interlaced: by the first frame.
        transfer: the code of ITU-T H.273 for how light becomes numbers.
        loss: one sentence, where packets are missing or damaged, else "".
    """

    codec: str
    width: int
    height: int
    frames: int
    fps: float
    seconds: float
    is_uneven: bool
    streams: int
    is_interlaced: bool
    transfer: int
    loss: str


def count_packets(path: Path) -> Packets:
    """Read a video file through.

    Raises:
        VideoError: the file is none that we decode; the message says why.
    """
    with opened_video(path) as (container, stream):
        count = _Count()
        count.read(container, stream)
        intervals = np.diff(np.sort(count.times))
        length = float(intervals.sum())
        is_uneven = bool(len(intervals)) and _is_uneven(intervals)
        return Packets(
            codec=stream.codec_context.codec.canonical_name,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            frames=count.frames,
            fps=round(len(intervals) / length, 3) if length else 0.0,
            seconds=round(length, 3),
            is_uneven=is_uneven,
            streams=len(container.streams.video),
            is_interlaced=count.is_interlaced,
            transfer=stream.codec_context.color_trc,
            loss=count.loss(container, stream),
        )


def _is_uneven(intervals: NDArray[np.float64]) -> bool:
    usual = np.median(intervals)
    others = np.count_nonzero(np.abs(intervals - usual) > usual / 2)
    return bool(others > UNEVEN * len(intervals) or intervals.max() > LONG_GAP)


class _Count:
    """What has been read so far."""

    def __init__(self) -> None:
        self.frames = 0
        self.hidden = 0  # by the file's edit list, on purpose
        self.times: list[float] = []  # seconds, in the order of the file
        self.trouble = ""
        self.is_interlaced = False
        self._has_decoded = False

    def read(self, container: InputContainer, stream: VideoStream) -> None:
        """All packets; decoded are those up to the first picture."""
        try:
            for packet in container.demux(stream):
                if not packet.size:  # the last one, which is to empty the decoder
                    continue
                if not self._has_decoded:
                    self._decode(packet)
                self._note(packet, is_avi=container.format.name == "avi")
        except FFmpegError as error:
            self.trouble = self.trouble or str(error.strerror)

    def _note(self, packet: Packet[VideoStream], *, is_avi: bool) -> None:
        if packet.is_discard:
            self.hidden += 1
            return
        self.frames += 1
        if packet.is_corrupt:
            self.trouble = self.trouble or "a part of it is cut off or unreadable"
        ticks = packet.dts if is_avi or packet.pts is None else packet.pts  # avi has no true pts
        if ticks is not None and packet.time_base is not None:
            self.times.append(float(ticks * packet.time_base))

    def _decode(self, packet: Packet[VideoStream]) -> None:
        try:
            pictures = packet.decode()
        except FFmpegError as error:
            self.trouble = self.trouble or str(error.strerror)
            return
        for picture in pictures[:1]:
            self._has_decoded = True
            self.is_interlaced = bool(getattr(picture, "interlaced_frame", False))

    def loss(self, container: InputContainer, stream: VideoStream) -> str:
        """Compared with what the header announces, as `iter_frames` does after decoding."""
        announced = stream.frames - self.hidden
        seconds = (container.duration or 0) / av.time_base
        until = max(self.times, default=0.0) - min(self.times, default=0.0)
        missing = ""
        if stream.frames:
            if announced - self.frames > 1 + announced // 100:
                missing = f" of {announced} announced"
        elif until < 0.9 * seconds:
            missing = f", {until:.1f} of {seconds:.1f} seconds"
        if not (missing or self.trouble):
            return ""
        reason = self.trouble or "it ends early"
        return f"damaged or truncated: {self.frames} frames{missing} ({reason})"
