"""Opens a video file that nobody vouches for: allow-lists and limits come before any decoding.

Nothing but the named file is read, and no demuxer or decoder outside the two lists runs: of
FFmpeg's hundreds, most are for oddities, and each year some have holes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from stresnet.errors import VideoError

CONTAINERS = (
    "avi", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "mpegts", "mpeg",
    "mpegvideo", "flv", "asf", "ogg", "gif",
)  # fmt: skip
CODECS = (
    "h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "theora", "mpeg1video", "mpeg2video", "mpeg4",
    "msmpeg4v1", "msmpeg4v2", "msmpeg4", "h263", "flv", "wmv1", "wmv2", "wmv3", "vc1", "mjpeg",
    "dvvideo", "prores", "ffv1", "rawvideo", "gif",
)  # fmt: skip
MAX_PIXELS = 8192 * 4320  # of a picture (8K); a forged header must not fill the memory

# Without the list of formats, an "avi" that is really an ffconcat script opens its neighbours.
_OPTIONS = {
    "format_whitelist": ",".join(CONTAINERS),
    "codec_whitelist": ",".join(CODECS),
    "protocol_whitelist": "file",
}


def printable(path: Path) -> str:
    """A path for messages: line breaks, text-direction marks and broken bytes are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in os.fspath(path)
    )


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        VideoError: it is no regular file, empty, or cannot be read.
    """
    _require_content(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream, with the decoder checked and set up but not begun.

    Of several video streams, it is the default one, else the first.

    Raises:
        VideoError: the file is none that we decode; the message says why.
    """
    _require_content(path)
    try:
        # Absolute, because FFmpeg takes a name like "concat:a.avi" for a protocol.
        container = av.open(path.absolute(), "r", options=_OPTIONS, metadata_errors="replace")
    except FFmpegError as error:
        raise VideoError(
            f"{printable(path)}: no video, or damaged at its head, or cut off ({error.strerror}); "
            "expected avi, mp4, mov, mkv, webm, mpeg, ts, wmv, flv, ogv or gif",
            remedy="try to play it; copy it again, convert it to mp4, or remove it",
        ) from error
    with container:
        stream = _video_stream(path, container)
        _set_up_decoder(path, stream)
        yield container, stream


def _require_content(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(
            f"{printable(path)}: a folder, pipe or device, expected a video file",
            remedy="name a file",
        )
    if status.st_size == 0:
        raise VideoError(
            f"{printable(path)}: the file is empty (0 bytes)", remedy="copy it again, or remove it"
        )


def _unreadable(path: Path, error: OSError | ValueError) -> VideoError:
    return VideoError(
        f"{printable(path)}: cannot be read ({getattr(error, 'strerror', error)})",
        remedy="check the path and the permissions",
    )


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise VideoError(
            f"{printable(path)}: holds no video stream (sound or a cover picture only)",
            remedy="remove it from the videos",
        )
    return next((s for s in streams if Disposition.default in s.disposition), streams[0])


def _set_up_decoder(path: Path, stream: VideoStream) -> None:
    # FFmpeg has no decoder for some streams, whatever PyAV's types say.
    decoder = getattr(stream, "codec_context", None)
    if decoder is None or decoder.name not in CODECS:
        raise VideoError(
            f"{printable(path)}: coded with {decoder.name if decoder else 'an unknown codec'}, "
            f"expected one of {', '.join(CODECS)}",
            remedy="convert it to H.264: ffmpeg -i IN -c:v libx264 OUT.mp4",
        )
    if decoder.width * decoder.height > MAX_PIXELS:
        raise VideoError(
            f"{printable(path)}: announces pictures of {decoder.width}x{decoder.height} pixels, "
            f"expected at most {MAX_PIXELS:,} pixels",
            remedy="convert it to a smaller size, or remove it if it is damaged",
        )
    decoder.options = {"max_pixels": str(MAX_PIXELS)}  # the size may also grow on the way
    decoder.thread_count = 1  # with more, damaged files come out another way each time
