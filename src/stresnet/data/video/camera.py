"""A camera, or a stream of the network -> RGB frames, for as long as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stresnet.data.video.container import CODECS
from stresnet.data.video.decode import Frame, to_rgb
from stresnet.data.video.geometry import scaled_size
from stresnet.errors import EnvironmentProblem, VideoError

# Demuxer and device name of camera N, by `sys.platform`.
DEVICES = {"linux": ("video4linux2,v4l2", "/dev/video{number}")}
DECODED = CODECS
TIMEOUT = (10.0, 10.0)  # seconds to open, and without a packet
_NETWORK_OPTIONS = {"protocol_whitelist": "rtsp,rtsps,rtp,srtp,tcp,udp,tls,crypto"}


def camera_frames(address: str, *, short_side: int = 256) -> Iterator[Frame]:
    """Frames of a camera or stream; their times are seconds since the first one came.

    Opening and every frame wait for the device: read it in a thread of its own, and quickly, or
    the device's own buffer fills up and frames are late.

    Args:
        address: a camera's number ("0"), or an rtsp:// address, which opens the network.
        short_side: of the frames, in pixels.

    Raises:
        EnvironmentProblem: this system's cameras cannot be read.
        VideoError: there is no such camera or stream, or it broke off.
    """
    with _opened(address) as container:
        stream = _video_stream(address, container)
        scaler, size = VideoReformatter(), (0, 0)
        began = 0.0
        try:
            for picture in container.decode(stream):
                now = time.monotonic()
                began = began or now
                if size == (0, 0):
                    size = scaled_size(picture.width, picture.height, short_side)
                yield Frame(to_rgb(scaler, picture, size), now - began)
        except EndOfStream:
            return
        except FFmpegError as error:
            raise VideoError(
                f"{address}: it broke off ({error.strerror})", remedy="check it, and start again"
            ) from error


def _opened(address: str) -> InputContainer:
    try:
        if address.isdecimal():
            demuxer, device = _device(address)
            return av.open(device, format=demuxer, timeout=TIMEOUT)
        return av.open(address, options=_NETWORK_OPTIONS, timeout=TIMEOUT)
    except FFmpegError as error:
        raise VideoError(
            f"{address}: no such camera or stream, or it is in use ({error.strerror})",
            remedy="check that it is plugged in or reachable, and that you may read it",
        ) from error


def _device(number: str) -> tuple[str, str]:
    if sys.platform not in DEVICES:
        raise EnvironmentProblem(
            f"cameras of {sys.platform} cannot be read, only those of {', '.join(DEVICES)}",
            remedy="record a file, or give the camera's rtsp:// address",
        )
    demuxer, device = DEVICES[sys.platform]
    return demuxer, device.format(number=number)


def _video_stream(address: str, container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise VideoError(f"{address}: sends no video", remedy="choose another address")
    stream = container.streams.video[0]
    if stream.codec_context.name not in DECODED:
        raise VideoError(
            f"{address}: coded with {stream.codec_context.name}, expected one of "
            f"{', '.join(DECODED)}",
            remedy="set the camera to H.264 or MJPEG",
        )
    return stream
