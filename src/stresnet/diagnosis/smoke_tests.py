"""The work itself, tried on something small: decoding, encoding, optical flow."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

import numpy as np

from stresnet.diagnosis.finding import Finding, broken, fine, limited

DECODERS = {
    "H.264": "h264",
    "HEVC": "hevc",
    "AV1": "libdav1d",  # FFmpeg's own av1 needs a video card
    "VP9": "vp9",
    "VP8": "vp8",
    "MPEG-4": "mpeg4",
    "MPEG-2": "mpeg2video",
    "MJPEG": "mjpeg",
    "ProRes": "prores",
}
SHIFT = 3  # px
GOOD_FLOW = 0.1  # px


def decoding() -> Iterator[Finding]:
    """What PyAV's FFmpeg decodes, and whether it does decode a real clip."""
    import av

    from stresnet.data.video.container import CODECS
    from stresnet.data.video.decode import iter_frames
    from stresnet.data.video.inputs import find_videos

    library = f"PyAV {av.__version__}"
    missing = [name for name, codec in DECODERS.items() if not _can_decode(codec)]
    with as_file(files("stresnet") / "assets" / "clips") as clips:
        clip, _ = find_videos(clips)[0]
        next(iter_frames(clip))
    decoded = ", ".join(name for name in DECODERS if name not in missing)
    if missing:
        yield limited(
            "decoding",
            f"{library} lacks {', '.join(missing)}; it decodes {decoded}",
            "pip install --force-reinstall --only-binary av av",
        )
    else:
        others = sum(_can_decode(codec) for codec in CODECS) - len(DECODERS)
        yield fine("decoding", f"{library}: {decoded} and {others} more")


def _can_decode(name: str) -> bool:
    from av.codec.codec import Codec, UnknownCodecError

    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True


def encoding() -> Iterator[Finding]:
    """Whether videos that are written play in browsers."""
    import av

    from stresnet.data.video.encode import ENCODERS

    usable = [name for name, _ in ENCODERS if name in av.codecs_available]
    if usable[:1] == ["libx264"]:
        yield fine("encoding", "H.264 (libx264)")
    else:
        yield limited(
            "encoding",
            f"no H.264, only {usable}; browsers will not play annotated videos",
            "pip install --force-reinstall --only-binary av av",
        )


def optical_flow() -> Iterator[Finding]:
    """TV-L1 of a texture that moves, and where its machine code is kept."""
    from stresnet.flow.jit import cache_folder

    topic, kept = "optical flow", cache_folder()
    reinstall = "pip install --force-reinstall numba llvmlite"
    try:
        error = flow_error()
    except Exception as reason:  # of a compiler, or of machine code that was damaged
        yield broken(
            topic,
            f"TV-L1 fails ({type(reason).__name__}: {reason})",
            f"delete {kept}; if that does not help: {reinstall}",
        )
        return
    if error > GOOD_FLOW:
        yield broken(topic, f"TV-L1 misses a motion of {SHIFT} px by {error:.2f} px", reinstall)
    elif kept is None:
        yield limited(
            topic,
            "TV-L1 works, but its machine code cannot be kept: each process compiles anew",
            "set NUMBA_CACHE_DIR to a folder that can be written",
        )
    else:
        yield fine(topic, f"TV-L1 works; its machine code is kept in {kept}")


def flow_error() -> float:
    """How far TV-L1 is off, px, at a texture that moves by `SHIFT` px."""
    from stresnet.flow import tv_l1

    row, column = np.mgrid[:48, : 64 + SHIFT]
    texture = 128 + 60 * np.sin(row / 3) * np.cos(column / 4) + 40 * np.sin(column / 7 + row / 5)
    wide = texture.astype(np.uint8)
    flow = tv_l1(np.stack([wide[:, SHIFT:], wide[:, :-SHIFT]]))  # (1,2,48,64)
    return float(np.abs(np.median(flow[0], axis=(1, 2)) - (SHIFT, 0)).max())
