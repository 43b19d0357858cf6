"""How a file asks for its pictures to be shown: applied, or named in a warning."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from making_videos import moving_texture, read_video, write_video
from stresnet.data.video.presentation import INTERLACED
from stresnet.data.video.probe import probe

CLIP = moving_texture(6, 64, 80)


def encoded(path: Path, codec: str, options: dict[str, str] | None = None, **settings: Any) -> Path:
    """Encode CLIP; settings are those of the encoder."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for image in CLIP:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def warned(path: Path) -> str:
    """The warning; probing must give the same without decoding the file."""
    warnings = read_video(path, short_side=64).warnings
    assert warnings == probe(path).not_applied
    return "; ".join(warnings)


def test_nothing_is_said_of_usual_files(tmp_path: Path) -> None:
    for ending in (".mp4", ".mkv", ".webm", ".avi", ".gif", ".mpg"):
        assert warned(write_video(tmp_path / f"a{ending}", CLIP)) == ""
    assert warned(write_video(tmp_path / "turned.mp4", CLIP, rotation=90)) == ""


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"x264-params": "interlaced=1:tff=1"}),
        ("a.mkv", "libx264", {"x264-params": "interlaced=1:tff=1"}),
        ("a.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_interlaced(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    assert "interlaced" in warned(encoded(tmp_path / name, codec, options))


def test_interlaced_later(tmp_path: Path) -> None:
    """Of a recording from a broadcast, some programmes are interlaced and others are not."""
    parts = [
        encoded(tmp_path / "a.ts", "mpeg2video"),
        encoded(tmp_path / "b.ts", "mpeg2video", {"flags": "+ildct+ilme"}),
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert read_video(joined, short_side=64).warnings == (INTERLACED,)


def test_transparency(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(path, "w") as container:
        stream = container.add_stream("libvpx", rate=25, options={"auto-alt-ref": "0"})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuva420p"
        for image in CLIP:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    assert warned(path) == "transparency is dropped"


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr(tmp_path: Path, transfer: int, name: str) -> None:
    for ending in (".mp4", ".mkv"):
        path = encoded(tmp_path / f"a{ending}", "libx264", color_trc=transfer)
        assert f"HDR ({name})" in warned(path)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".ts"])
def test_an_aspect_is_applied_if_it_is_credible(tmp_path: Path, ending: str) -> None:
    codec = "mpeg4" if ending == ".avi" else "libx264"
    wide = encoded(tmp_path / f"a{ending}", codec, sample_aspect_ratio=Fraction(4, 3))
    assert warned(wide) == ""
    assert read_video(wide, short_side=64).frames.shape[1:3] == (64, 106)
    absurd = encoded(tmp_path / f"b{ending}", codec, sample_aspect_ratio=Fraction(7, 1))
    assert "taken as square" in warned(absurd)
    assert read_video(absurd, short_side=64).frames.shape[1:3] == (64, 80)


def test_a_rotation_that_is_not_right_is_named(tmp_path: Path) -> None:
    assert "angle" in warned(write_video(tmp_path / "a.mp4", CLIP, rotation=30))


def test_a_crop_of_the_container_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", CLIP)
    content = path.read_bytes()
    # A box that players skip becomes a clean aperture: only its presence is looked for.
    free = b"\x00\x00\x00\x28free" + bytes(32)
    moov = content.index(b"moov") - 4
    size = int.from_bytes(content[moov : moov + 4])
    grown = (size + 40).to_bytes(4) + content[moov + 4 : moov + size] + free
    path.write_bytes(content[:moov] + grown + content[moov + size :])
    assert warned(path) == ""
    path.write_bytes(path.read_bytes().replace(b"\x28free" + bytes(32), b"\x28clap" + bytes(32)))
    assert "part of the picture" in warned(path)


def test_a_phone_that_is_turned_on_the_way_keeps_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarter_turn = np.array([[0, 1 << 16, 0], [-(1 << 16), 0, 0], [0, 0, 1 << 30]], np.int32)
    turns = iter([None, None, None, *[quarter_turn] * 9])
    monkeypatch.setattr("stresnet.data.video.decode.display_matrix", lambda picture: next(turns))
    frames = read_video(write_video(tmp_path / "a.mp4", CLIP), short_side=64).frames
    assert frames.shape == (6, 64, 80, 3)
