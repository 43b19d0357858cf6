"""What a header says of a file's length is not believed: packets and pictures decide."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from making_videos import ENCODERS, MJPEG, moving_texture, read_video, write_video
from stresnet.data.video.decode import mean_step
from stresnet.data.video.probe import lasts_longer, probe
from stresnet.errors import VideoError

CLIP = moving_texture(30, 64, 80)


def seen(path: Path) -> tuple[int, float, str]:
    """Frames, seconds and loss; decoding all of the file must agree with its packets."""
    info, video = probe(path), read_video(path, short_side=64)
    assert len(video.frames) == info.frames
    assert bool(video.warnings) == bool(info.loss)
    return info.frames, info.seconds, info.loss


@pytest.mark.parametrize("ending", [".webm", ".mkv"])
def test_a_header_without_duration(tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"a{ending}", CLIP, streamed=True)
    assert seen(path) == (30, pytest.approx(1.2, abs=0.01), "")


@pytest.mark.parametrize("ending", [".webm", ".mkv", ".mp4", ".avi"])
def test_sound_that_is_longer_than_the_pictures(tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"a{ending}", CLIP, sound=12)
    assert seen(path) == (30, pytest.approx(1.2, abs=0.01), "")
    alone = read_video(write_video(tmp_path / f"b{ending}", CLIP), short_side=64)
    np.testing.assert_array_equal(read_video(path, short_side=64).frames, alone.frames)


@pytest.mark.parametrize("ending", [".webm", ".mkv", ".mp4"])
def test_pictures_that_begin_after_the_sound_have_the_times_of_a_player(
    tmp_path: Path, ending: str
) -> None:
    times = 4 + np.arange(30) / 25
    path = write_video(tmp_path / f"a{ending}", CLIP, times=times.tolist(), sound=6)
    np.testing.assert_allclose(read_video(path, short_side=64).times, times, atol=0.01)
    assert seen(path) == (30, pytest.approx(1.2, abs=0.01), "")
    assert lasts_longer(path, 1.1) and not lasts_longer(path, 1.3)


@pytest.mark.parametrize("left", [0.9, 0.7])
def test_a_cut_file_with_sound_is_still_found(tmp_path: Path, left: float) -> None:
    for ending in (".webm", ".avi"):
        path = write_video(tmp_path / f"a{ending}", CLIP, sound=1.2)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
        assert "truncated" in read_video(path).warnings[0]
        assert "truncated" in probe(path).loss


Chunks = list[tuple[bytes, bytes]]


def rewritten_avi(path: Path, change: Callable[[Chunks], Chunks]) -> Path:
    """The same AVI with other chunks in it, and an index to match."""
    content = path.read_bytes()
    movi = content.index(b"movi")
    (size,) = struct.unpack("<I", content[movi - 4 : movi])
    body, index, place = b"", b"", 4
    for name, data in change(list(chunks_of(content[movi + 4 : movi - 4 + 4 + size]))):
        if data:
            index += struct.pack("<4sIII", name, 0x10, place, len(data))
        chunk = name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
        body, place = body + chunk, place + len(chunk)
    head = content[: movi - 4] + struct.pack("<I", 4 + len(body)) + b"movi"
    whole = head + body + b"idx1" + struct.pack("<I", len(index)) + index
    path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    return path


def chunks_of(movi: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(movi):
        name, size = struct.unpack("<4sI", movi[place : place + 8])
        yield name, movi[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


@pytest.mark.parametrize("again", [{1, 5, 6}, {*range(20, 30)}, {*range(1, 30, 2)}])
def test_chunks_that_mean_as_before_are_not_damage(tmp_path: Path, again: set[int]) -> None:
    path = write_video(tmp_path / "a.avi", CLIP, encoder=MJPEG)
    rewritten_avi(
        path,
        lambda chunks: [
            (name, b"" if place in again else data) for place, (name, data) in enumerate(chunks)
        ],
    )
    video = read_video(path, short_side=64)
    assert video.warnings == () and probe(path).loss == ""
    shown = [place for place in range(30) if place not in again]
    np.testing.assert_allclose(video.times, np.array(shown) / 25, atol=1e-6)


@pytest.mark.parametrize("forged", [1_000_000, 4_000_000_000, 1])
def test_a_forged_count_is_not_believed(tmp_path: Path, forged: int) -> None:
    path = write_video(tmp_path / "a.avi", CLIP, encoder=MJPEG)
    content = bytearray(path.read_bytes())
    for field in (content.index(b"avih") + 24, content.index(b"strh") + 40):
        content[field : field + 4] = struct.pack("<I", forged)
    path.write_bytes(content)
    assert seen(path) == (30, pytest.approx(1.2, abs=0.01), "")


PAUSED = [*np.arange(15) / 25, *(12 + np.arange(15) / 25)]


@pytest.mark.parametrize("ending", [".webm", ".mkv", ".mp4"])
def test_a_pause_changes_the_length_but_not_the_rate(tmp_path: Path, ending: str) -> None:
    path = write_video(tmp_path / f"a{ending}", CLIP, times=PAUSED)
    info = probe(path)
    assert seen(path) == (30, pytest.approx(12.6, abs=0.1), "")
    assert info.fps == pytest.approx(25, abs=0.5) and info.is_uneven
    assert lasts_longer(path, 10) and not lasts_longer(path, 13)


def test_slow_pictures_are_not_pauses() -> None:
    assert mean_step(np.array([0.0, 3, 6, 9, 12])) == 3
    assert mean_step(np.array([0.0, 1, 2, 30])) == 1
    assert mean_step(np.array([7.0])) == 0


def test_a_file_without_its_head_is_no_video(tmp_path: Path) -> None:
    """FFmpeg takes the tail of an AVI for a bare MPEG-4 stream, which is not on the list."""
    whole = write_video(tmp_path / "a.avi", CLIP).read_bytes()
    for left in (0.9, 0.5):
        path = tmp_path / "tail.avi"
        path.write_bytes(whole[int(len(whole) * (1 - left)) :])
        with pytest.raises(VideoError, match="not a video, or its start is damaged"):
            read_video(path)


def test_an_mp4_that_was_cut_off_is_told_as_that(tmp_path: Path) -> None:
    """Its index is written last, so that nothing of a copy that broke off can be read."""
    path = write_video(tmp_path / "a.mp4", CLIP)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov")])
    with pytest.raises(VideoError, match=r"index is missing or damaged .* probably cut off"):
        read_video(path)


FLV = ("flv", "yuv420p", {})
WMV = ("wmv2", "yuv420p", {"qmin": "1", "qmax": "2"})


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("a.flv", ENCODERS[".mp4"]),
        ("a.flv", ("flv", "yuv420p", {})),
        ("a.wmv", WMV),
        ("a.ts", ENCODERS[".mp4"]),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_short_files_of_other_containers_are_whole(
    tmp_path: Path, name: str, encoder: tuple[str, str, dict[str, str]], count: int
) -> None:
    path = write_video(tmp_path / name, CLIP[:count], encoder=encoder)
    seconds = count / 25 if count > 1 else 0
    assert seen(path) == (count, pytest.approx(seconds, abs=0.01), "")


def test_a_wmv_tells_how_many_bytes_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.wmv", CLIP, encoder=WMV)
    content = path.read_bytes()
    duration = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 64
    path.write_bytes(content[:duration] + (10**10).to_bytes(8, "little") + content[duration + 8 :])
    assert seen(path) == (30, pytest.approx(1.2, abs=0.01), "")
    path.write_bytes(content[: len(content) * 2 // 3])
    assert "bytes (it ends early)" in seen(path)[2]


def test_streams_without_any_times_have_a_length(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.h264", "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        for number in range(300):
            picture = av.VideoFrame.from_ndarray(CLIP[number % 30], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    path = tmp_path / "a.h264"
    assert seen(path) == (300, pytest.approx(12, abs=0.01), "")
    assert probe(path).fps == 25
    assert lasts_longer(path, 11) and not lasts_longer(path, 13)


def test_joined_files_are_not_damaged(tmp_path: Path) -> None:
    """Each counts its packets from the start, so that some seem to be missing where it ends."""
    one = write_video(tmp_path / "a.ts", CLIP, encoder=ENCODERS[".mp4"]).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one * 3)
    assert seen(joined) == (90, pytest.approx(3.6, abs=0.01), "")
    np.testing.assert_allclose(
        read_video(joined, short_side=64).times, np.arange(90) / 25, atol=1e-3
    )
    place = len(one) // 188 // 2 * 188  # in the middle, ten packets of the container are missing
    joined.write_bytes(one[:place] + one[place + 10 * 188 :])
    assert "cut off or unreadable" in seen_of_damaged(joined)


def test_joined_parts_whose_clock_runs_on_are_not_damaged(tmp_path: Path) -> None:
    """As a recorder writes them that begins a new file each minute."""
    parts = [tmp_path / f"{number}.ts" for number in range(3)]
    for number, part in enumerate(parts):
        with av.open(part, "w") as container:
            options = {"preset": "ultrafast", "tune": "zerolatency"}
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.height, stream.width, stream.pix_fmt = *CLIP.shape[1:3], "yuv420p"
            for at, picture in enumerate(CLIP):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number * len(CLIP) + at, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert seen(joined) == (90, pytest.approx(3.6, abs=0.01), "")
    first, *rest = (part.read_bytes() for part in parts)
    place = len(first) // 188 // 2 * 188
    joined.write_bytes(b"".join([first[:place], first[place + 10 * 188 :], *rest]))
    assert "cut off or unreadable" in seen_of_damaged(joined)


def seen_of_damaged(path: Path) -> str:
    assert read_video(path, short_side=64).warnings
    return probe(path).loss


def test_a_clock_that_overflows_keeps_the_sound_s_start(tmp_path: Path) -> None:
    """The clock of a transport stream has 33 bits, 26.5 hours."""
    late = 2**33 / 90_000 - 3
    times = late + 4 + np.arange(30) / 25
    path = tmp_path / "a.ts"
    with av.open(path, "w", options={"muxdelay": "0", "muxpreload": "0"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("mp2", rate=44100, layout="mono")
        for number in range(200):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
            silence.sample_rate, silence.pts = 44100, round(late * 44100) + number * 1152
            silence.time_base = Fraction(1, 44100)
            container.mux(sound.encode(silence))
        for time, image in zip(times, CLIP, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(read_video(path, short_side=64).times, times - late, atol=0.05)
