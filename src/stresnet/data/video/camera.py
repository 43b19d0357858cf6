"""A camera or a network stream -> RGB frames, for as long as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from stresnet.data.video.container import CONTAINERS, open_container, set_up_decoder
from stresnet.data.video.decode import Frame, to_rgb
from stresnet.data.video.presentation import scaled_size
from stresnet.errors import EnvironmentProblem, VideoError

CAMERAS, DEVICE = "video4linux2,v4l2", "/dev/video{number}"  # demuxer and name, on Linux
NETWORK = ("rtsp", "rtsps", "rtp", "srtp", "tcp", "udp", "tls", "crypto")  # protocols
NETWORK_FORMATS = ("rtsp", "rtp", "sdp")  # in addition to those of files
TIMEOUT = (10.0, 10.0)  # seconds to open, and without a packet


def camera_frames(address: str, *, short_side: int = 256) -> Iterator[Frame]:
    """Yield frames of a camera or stream; their times are seconds since the first one arrived.

    Opening waits for the device, and so does every frame. Read them in a thread of their own, and
    quickly: otherwise the device's buffer fills up and frames are late.

    Args:
        address: a camera's number ("0"), or an rtsp:// address, which uses the network.
        short_side: of the frames, in pixels.

    Raises:
        EnvironmentProblem: cameras cannot be read on this system.
        VideoError: there is no such camera or stream, or it broke off.
    """
    with _opened(address) as container:
        if not container.streams.video:
            raise VideoError(f"{address}: sends no video", remedy="choose another address")
        stream = container.streams.video[0]
        set_up_decoder(address, stream)
        scaler, size = VideoReformatter(), (0, 0)
        start = 0.0
        try:
            for picture in container.decode(stream):
                now = time.monotonic()
                start = start or now
                if size == (0, 0):
                    size = scaled_size(picture.width, picture.height, short_side)
                yield Frame(to_rgb(scaler, picture, size), now - start)
        except EndOfStream:
            return
        except FFmpegError as error:
            raise VideoError(
                f"{address}: the stream broke off ({error.strerror})",
                remedy="check it, and start again",
            ) from error


def _opened(address: str) -> InputContainer:
    if address.isdecimal() and sys.platform != "linux":
        raise EnvironmentProblem(
            f"cameras can be read on Linux only, and this is {sys.platform}",
            remedy="record a file, or give the camera's rtsp:// address",
        )
    try:
        if address.isdecimal():
            device = DEVICE.format(number=address)
            return open_container(device, formats=[CAMERAS], format=CAMERAS, timeout=TIMEOUT)
        formats = (*NETWORK_FORMATS, *CONTAINERS)
        return open_container(address, protocols=NETWORK, formats=formats, timeout=TIMEOUT)
    except FFmpegError as error:
        raise VideoError(
            f"{address}: no such camera or stream, or it is in use ({error.strerror})",
            remedy="check that it is plugged in or reachable, and that you may read it",
        ) from error
