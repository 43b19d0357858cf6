"""What a video's header says of its length and size, without decoding (as ffprobe)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from stresnet.data.video.container import opened_video
from stresnet.data.video.geometry import scaled_size


@dataclass(frozen=True)
class VideoInfo:
    """What a header says, which may be wrong.

    Attributes:
        frames: how many; 0 where the header does not say.
        seconds: how long; 0 where the header does not say.
        pixels: of a frame, when scaled.
    """

    frames: int
    seconds: float
    pixels: int


def probe(path: Path, *, short_side: int = 256) -> VideoInfo:
    """Read a video's header.

    Raises:
        VideoError: the file is not one that we decode; the message says why.
    """
    with opened_video(path) as (container, stream):
        seconds = max(container.duration or 0, 0) / av.time_base
        rate = float(stream.average_rate or 0)
        frames = stream.frames or round(seconds * rate)
        width, height = stream.codec_context.width, stream.codec_context.height
        if not (width and height):  # only the first picture says
            width = height = short_side
        scaled_width, scaled_height = scaled_size(
            width, height, short_side, pixel_aspect=stream.sample_aspect_ratio
        )
        seconds = seconds or (frames / rate if rate else 0.0)
        return VideoInfo(frames, seconds, scaled_width * scaled_height)
