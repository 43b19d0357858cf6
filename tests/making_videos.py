"""Writes tiny videos for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from stresnet.data.video.decode import iter_frames

# Of the encoders at hand, the one that belongs to the ending, its pixel format and its options.
ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    ".mp4": ("libx264", "yuv420p", {"crf": "8", "preset": "ultrafast"}),
    ".mov": ("libx264", "yuv420p", {"crf": "8", "preset": "ultrafast"}),
    ".mkv": ("libx264", "yuv420p", {"crf": "8", "preset": "veryfast"}),  # with B-frames
    ".avi": ("mpeg4", "yuv420p", {"qmin": "1", "qmax": "2"}),
    ".webm": ("libvpx-vp9", "yuv420p", {"crf": "10", "cpu-used": "8", "deadline": "realtime"}),
    ".gif": ("gif", "rgb8", {}),
    ".mpg": ("mpeg1video", "yuv420p", {"qmin": "1", "qmax": "2"}),
}
MJPEG = ("mjpeg", "yuvj420p", {"qmin": "1", "qmax": "2"})


def texture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth random RGB picture (H,W,3) that survives compression."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.zeros((height, width, 3))
    for channel in range(3):
        for _ in range(4):
            fy, fx, phase = rng.uniform(0.02, 0.12, 3) * (1, 1, 50)
            picture[..., channel] += np.sin(fy * y + fx * x + phase)
    return np.clip(128 + 28 * picture, 0, 255).astype(np.uint8)


def moving_texture(
    frames: int, height: int = 64, width: int = 80, *, step: tuple[int, int] = (2, 0), seed: int = 0
) -> NDArray[np.uint8]:
    """(N,H,W,3) uint8: a window moves over a texture, so that the picture moves by `step` (x, y)
    pixels a frame."""
    dx, dy = step
    large = texture(height + frames * abs(dy), width + frames * abs(dx), seed=seed)
    start_x, start_y = max(dx, 0) * frames, max(dy, 0) * frames
    return np.stack(
        [large[start_y - i * dy :, start_x - i * dx :][:height, :width] for i in range(frames)]
    )


def write_video(
    path: Path,
    frames: NDArray[np.uint8],
    *,
    fps: int = 25,
    encoder: tuple[str, str, dict[str, str]] | None = None,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    sound: float = 0,
    streamed: bool = False,
) -> Path:
    """Encode (N,H,W,3) uint8 RGB with even sizes; the ending chooses container and encoder.

    Args:
        times: in seconds (milliseconds count); frame i at i/fps by default.
        rotation: degrees counterclockwise that a player must turn the pictures (mp4, mov).
        pixel_aspect: a pixel's width over its height.
        sound: seconds of silence beside the pictures, from 0 on.
        streamed: written in one go, as browsers record: the header cannot tell the length.
    """
    name, pixel_format, options = encoder or ENCODERS[path.suffix]
    format = {".webm": "webm", ".mkv": "matroska"}[path.suffix] if streamed else None
    with (
        path.open("wb") as file,
        av.open(OnlyWrites(file) if streamed else path, "w", format=format) as container,
    ):
        stream = container.add_stream(name, rate=fps, options=options)
        silent = _add_sound_stream(container) if sound else None
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = round(times[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if silent:
            rate = silent.codec_context.sample_rate
            _encode_silence(container, silent, samples=round(rate * sound))
    return path


class OnlyWrites:
    """A file that cannot be gone back in."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write


def _add_sound_stream(container: OutputContainer) -> AudioStream:
    encoder, rate = ("aac", 8000) if container.format.name in ("mp4", "avi") else ("libopus", 48000)
    return cast(AudioStream, container.add_stream(encoder, rate=rate, layout="mono"))


def _encode_silence(container: OutputContainer, stream: AudioStream, samples: int) -> None:
    silence = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), "s16", "mono")
    silence.sample_rate = stream.codec_context.sample_rate
    container.mux(stream.encode(silence))
    container.mux(stream.encode(None))


def write_sound(path: Path, *, encoder: str = "aac") -> Path:
    """A tenth of a second of silence, without pictures."""
    with av.open(path, "w") as container:
        stream = container.add_stream(encoder, rate=8000, layout="mono")
        _encode_silence(container, stream, samples=800)
    return path


@dataclass(frozen=True, eq=False)
class Video:
    """A whole video: `frames` (N,H,W,3) uint8 RGB, `times` (N,) float64 in seconds, increasing."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


def read_video(path: Path, **options: Any) -> Video:
    """Decode a whole file into memory; options and errors as of `iter_frames`."""
    warnings: list[str] = []
    frames = list(iter_frames(path, on_warning=warnings.append, **options))
    return Video(
        np.stack([frame.image for frame in frames]),
        np.array([frame.time for frame in frames]),
        tuple(warnings),
    )
