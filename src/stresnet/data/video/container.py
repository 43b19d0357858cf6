"""Opens video files that cannot be trusted: allow-lists and limits come before any decoding.

Nothing but the named file is read, and only demuxers and decoders on the two lists run. FFmpeg has
hundreds; most are for rare formats, and every year holes are found in some of them.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from stresnet.errors import VideoError, printable

CONTAINERS = (
    "avi", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "mpegts", "mpeg",
    "mpegvideo", "flv", "asf", "ogg", "gif",
)  # fmt: skip
# Streams without a container look like anything: they are tried only where the name says so.
RAW_FORMATS = {
    ".264": "h264", ".h264": "h264", ".265": "hevc", ".h265": "hevc", ".hevc": "hevc",
    ".dv": "dv", ".ivf": "ivf", ".mjpeg": "mjpeg", ".mjpg": "mjpeg", ".y4m": "yuv4mpegpipe",
}  # fmt: skip
CODECS = (
    "h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "theora", "mpeg1video", "mpeg2video", "mpeg4",
    "msmpeg4v1", "msmpeg4v2", "msmpeg4", "h263", "flv", "wmv1", "wmv2", "wmv3", "vc1", "mjpeg",
    "dvvideo", "prores", "dnxhd", "ffv1", "huffyuv", "ffvhuff", "png", "rawvideo", "gif", "vp6",
    "vp6f", "cinepak",
)  # fmt: skip
HASHED_BYTES = 16 << 20  # at a time
MAX_PIXELS = 8192 * 4320  # of a picture (8K); a forged header must not fill the memory
JOIN_PACKETS = 3  # in which the clock goes back after a packet that only seems broken
TS_PACKET = 188  # bytes of a transport stream's packet
TS_HEAD = 4  # such packets at most before the first picture: the tables of what is in the stream
LEAST_PACKET = 8  # bytes; a header that promises more pictures than the file could hold is wrong
# Containers whose header tells how long the file is. Others are measured by their last packets.
TELL_DURATION = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flv")
# ASF's header tells how long the file is in bytes (Advanced Systems Format, section 3.2).
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_HEAD = 1 << 16  # bytes in which these properties are

# PyAV 18 stops at metadata that is not UTF-8 unless it is told not to; PyAV 19 cannot be told.
_VERSION = int(av.__version__.split(".")[0])
_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if _VERSION < 19 else {}


def open_container(
    place: str | Path,
    *,
    protocols: Sequence[str] = ("file",),
    formats: Sequence[str] = CONTAINERS,
    **settings: Any,
) -> InputContainer:
    """Open a file, a device or an address with nothing but what the three allow-lists name.

    FFmpeg probes the content with every demuxer and decoder that it has, before anybody can look at
    the result: without the list of formats, an "avi" that is really an ffconcat script opens its
    neighbours.

    Args:
        settings: passed to `av.open`.

    Raises:
        FFmpegError: it cannot be opened.
    """
    allowed = {
        "format_whitelist": ",".join(formats),
        "codec_whitelist": ",".join(CODECS),
        "protocol_whitelist": ",".join(protocols),
    }
    opened: InputContainer = av.open(place, "r", options=allowed, **_METADATA, **settings)
    return opened


def content_sha256(path: Path, *, on_block: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Args:
        on_block: called now and then, as a sign of life if a file is large.

    Raises:
        VideoError: it is not a regular file, is empty, or cannot be read.
    """
    _require_content(path)
    try:
        sha256 = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(HASHED_BYTES):
                sha256.update(block)
                on_block()
        return sha256.hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file: its container and its video stream, the decoder checked but not started.

    Of several video streams, the default one is taken, else the first.

    Raises:
        VideoError: the file cannot be decoded here; the message says why.
    """
    _require_content(path)
    try:
        # Absolute, because FFmpeg takes a name like "concat:a.avi" for a protocol.
        raw = RAW_FORMATS.get(path.suffix.lower())
        container = open_container(path.absolute(), formats=[raw] if raw else CONTAINERS)
    except PermissionError as error:
        raise _unreadable(path, error) from error
    except FFmpegError as error:
        if _begins_as_mp4(path):
            raise VideoError(
                f"{printable(path)}: its index is missing or damaged ({error.strerror}); mp4 files "
                "have it at the end, so it was probably cut off while it was copied or recorded",
                remedy="copy it again, repair it (`untrunc` can), or remove it",
            ) from error
        raise VideoError(
            f"{printable(path)}: not a video, or its start is damaged ({error.strerror}); "
            "expected avi, mp4, mov, mkv, webm, mpeg, ts, wmv, flv, ogv or gif",
            remedy="try to play it; copy it again, convert it to mp4, or remove it",
        ) from error
    with container:
        stream = _video_stream(path, container)
        set_up_decoder(printable(path), stream)
        yield container, stream


def _begins_as_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


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
            f"{printable(path)}: has no video stream (sound or a cover picture only)",
            remedy="remove it from the videos",
        )
    return next((s for s in streams if Disposition.default in s.disposition), streams[0])


def set_up_decoder(name: str, stream: VideoStream) -> None:
    """Check that a stream may be decoded, and limit its decoder.

    Args:
        name: what messages call the video.

    Raises:
        VideoError: its codec is not one of `CODECS`, or its pictures are too large.
    """
    # FFmpeg has no decoder for some streams, whatever PyAV's types say.
    decoder = getattr(stream, "codec_context", None)
    if decoder is None or decoder.name not in CODECS:
        raise VideoError(
            f"{name}: coded with {decoder.name if decoder else 'an unknown codec'}, "
            f"expected one of {', '.join(CODECS)}",
            remedy="use H.264; of a file: ffmpeg -i IN -c:v libx264 OUT.mp4",
        )
    if decoder.width * decoder.height > MAX_PIXELS:
        raise VideoError(
            f"{name}: its header says {decoder.width}x{decoder.height} pixels, "
            f"expected at most {MAX_PIXELS:,} pixels",
            remedy="convert it to a smaller size, or remove it if it is damaged",
        )
    decoder.options = {"max_pixels": str(MAX_PIXELS)}  # the size may also grow later
    decoder.thread_count = 1  # more would make damaged files come out differently each time


class PacketCount:
    """Counts packets as they are read, and tells at the end whether any are missing.

    What a header says may be wrong: it may count the sound's length, pictures that were never
    recorded, or chunks that mean "the same picture again". So only the packets of all streams
    together decide whether a file was cut off.

    Attributes:
        pictures: packets of the video stream that are shown; most codecs put a picture into each.
        hidden: those that the file's edit list hides on purpose.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.pictures, self.hidden = 0, 0
        self._is_broken = False
        self._since_broken: int | None = None  # packets since one that may be
        self._clock: int | None = None  # of the video's last packet
        self._stream = stream
        self._path = Path(container.name)
        self._is_transport_stream = container.format.name == "mpegts"
        self._size = container.size or 0
        self._announced = stream.frames
        if container.format.name == "avi" and _is_whole_riff(self._path):
            self._announced = len(stream.index_entries) or stream.frames
        self._start = container.start_time or 0
        self._seconds = 0.0
        if container.format.name in TELL_DURATION and not stream.frames:
            self._seconds = max(container.duration or 0, 0) / av.time_base
        self._until = 0.0
        is_asf = container.format.name == "asf"
        self._bytes = _bytes_announced(self._path) if is_asf else 0

    def add(self, packet: Packet[Any]) -> bool:
        """Count a packet of any stream; return whether it is one of the video's pictures."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None and packet.time_base:
            end = float((stamp + (packet.duration or 0)) * packet.time_base)
            self._until = max(self._until, end - self._start / av.time_base)
        if packet.stream.index != self._stream.index:
            return False
        self._look_for_breaks(packet)
        # The packets at the end, which empty the decoders, have no size and no times.
        if not (packet.size or stamp is not None):
            return False
        self.hidden += packet.is_discard
        self.pictures += not packet.is_discard
        return not packet.is_discard

    def _look_for_breaks(self, packet: Packet[Any]) -> None:
        """Notice where files were joined (`cat a.ts b.ts`): the packets just before seem broken.

        There, the clock goes back, or it runs on and a stream begins.
        """
        goes_back = packet.dts is not None and self._clock is not None and packet.dts <= self._clock
        if goes_back or (self._since_broken is not None and self._begins_stream(packet)):
            self._since_broken = None
        elif self._since_broken is not None:
            self._since_broken += 1
            self._is_broken |= self._since_broken > JOIN_PACKETS
        if packet.is_corrupt and self._since_broken is None:
            self._since_broken = 0
        self._clock = packet.dts if packet.dts is not None else self._clock

    def _begins_stream(self, packet: Packet[Any]) -> bool:
        """Whether a stream begins here: this picture and a table before it are counted from 0."""
        begin = (packet.pos or 0) - TS_HEAD * TS_PACKET
        if not (self._is_transport_stream and packet.is_keyframe and begin >= 0):
            return False
        with self._path.open("rb") as file:
            file.seek(begin)
            content = file.read((TS_HEAD + 1) * TS_PACKET)
        # A packet's first bytes: 0x47, flags and the number of its stream (0 of the first table),
        # flags and a counter (ISO/IEC 13818-1, section 2.4.3.2).
        *before, own = (content[at : at + 4] for at in range(0, len(content), TS_PACKET))
        has_table = any(
            at[0] == 0x47 and at[1] & 0x1F == at[2] == at[3] & 0x0F == 0 for at in before
        )
        return has_table and own[0] == 0x47 and own[3] & 0x0F == 0

    def loss(self, frames: int, reason: str, *, to_the_end: bool = True) -> str:
        """Return one sentence on what is lost; "" if nothing is.

        Args:
            frames: how many there are.
            reason: what went wrong on the way, or "".
            to_the_end: all packets were read, so that missing ones show.
        """
        if self._is_broken or self._since_broken is not None:
            reason = "a part of it is cut off or unreadable"
        missing = self._missing() if to_the_end else ""
        if not (missing or reason):
            return ""
        return f"damaged or truncated: {frames} frames{missing} ({reason or 'it ends early'})"

    def _missing(self) -> str:
        announced = self._announced - self.hidden
        # Now and then, headers of files with sound count a picture too many.
        if 0 < announced * LEAST_PACKET <= self._size:
            short = announced - self.pictures > 1 + announced // 100
            return f" of {announced}" if short else ""
        rate = float(self._stream.average_rate or 1)
        credible = self._seconds * rate * LEAST_PACKET <= self._size
        # Not every packet tells how long it lasts.
        if credible and self._until < min(0.9 * self._seconds, self._seconds - 2 / rate):
            return f", {self._until:.1f} of {self._seconds:.1f} seconds"
        if self._size < self._bytes:
            return f", {self._size:,} of {self._bytes:,} bytes"
        return ""


def _bytes_announced(path: Path) -> int:
    """Return the size that an ASF file (wmv) says it has; 0 where it says none."""
    with path.open("rb") as file:
        properties = file.read(ASF_HEAD).partition(ASF_PROPERTIES)[2]
    is_live = len(properties) < 76 or properties[72] & 1  # then it could not know
    return 0 if is_live else int.from_bytes(properties[24:32], "little")


def _is_whole_riff(path: Path) -> bool:
    """Whether an AVI file is as long as its first bytes say."""
    with path.open("rb") as file:
        head = file.read(8)
    return (
        head[:4] == b"RIFF" and 0 < int.from_bytes(head[4:8], "little") <= path.stat().st_size - 8
    )
