"""Laws of decoding: what comes out of good, odd, damaged and hostile files."""

from __future__ import annotations

import os
import re
import struct
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from making_videos import (
    ENCODERS,
    MJPEG,
    moving_texture,
    read_video,
    texture,
    write_sound,
    write_video,
)
from stresnet.data.video.container import content_sha256
from stresnet.data.video.decode import FrameTimes, frames_of_array, iter_frames
from stresnet.data.video.presentation import scaled_size, upright
from stresnet.drawing import resized
from stresnet.errors import UsageError, VideoError, printable

CLIP = moving_texture(12, 64, 80)


def write_clip(folder: Path, name: str = "clip.mp4") -> Path:
    return write_video(folder / name, CLIP)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


# --- good files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [*ENCODERS, "mjpeg.avi"])
def test_every_container_gives_the_frames_that_were_written(tmp_path, ending):
    encoder = MJPEG if ending == "mjpeg.avi" else None
    path = write_video(tmp_path / f"clip{ending}", CLIP, encoder=encoder)
    video = read_video(path, short_side=64)
    assert video.frames.shape == CLIP.shape
    assert video.frames.dtype == np.uint8
    palette = ending == ".gif"  # 256 colours only
    for shown, written in zip(video.frames, CLIP, strict=True):
        assert difference(shown, written) < (25 if palette else 4)
    np.testing.assert_allclose(video.times, np.arange(12) / 25, atol=2e-3)
    assert video.warnings == ()


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_videos_are_videos(tmp_path, frames):
    video = read_video(write_video(tmp_path / "short.mp4", CLIP[:frames]))
    assert video.frames.shape == (frames, 256, 320, 3)
    assert video.times[0] == 0


def test_black_is_0_and_white_is_255(tmp_path):
    flat = np.stack([np.full((64, 80, 3), level, np.uint8) for level in (0, 255)])
    for name, encoder in (("limited.mp4", None), ("full.avi", MJPEG)):
        black, white = read_video(write_video(tmp_path / name, flat, encoder=encoder)).frames
        assert black.max() <= 2, name
        assert white.min() >= 253, name


def test_times_are_the_files_own(tmp_path):
    times = [0, 0.04, 0.1, 0.3, 0.31, 0.4]
    video = read_video(write_video(tmp_path / "vfr.mkv", CLIP[:6], times=times))
    np.testing.assert_allclose(video.times, times, atol=1e-9)


def test_avi_with_reordered_frames_has_even_times(tmp_path):
    encoder = ("libx264", "yuv420p", {"crf": "8", "bf": "3", "b_strategy": "0"})
    video = read_video(write_video(tmp_path / "b.avi", CLIP, encoder=encoder), short_side=64)
    assert difference(video.frames, CLIP) < 4  # in the order of presentation
    np.testing.assert_allclose(video.times, np.arange(12) / 25, atol=1e-9)


def test_frames_can_be_had_one_by_one_and_few(tmp_path):
    path = write_clip(tmp_path)
    whole = read_video(path)
    warnings: list[str] = []
    few = list(iter_frames(path, max_frames=5, on_warning=warnings.append))
    np.testing.assert_array_equal(np.stack([f.image for f in few]), whole.frames[:5])
    assert len(warnings) == 1
    assert "longer than 5 frames" in warnings[0]
    assert read_video(path, max_frames=12).warnings == ()


def test_decoding_twice_gives_the_same(tmp_path):
    path = write_clip(tmp_path)
    np.testing.assert_array_equal(read_video(path).frames, read_video(path).frames)


def test_an_array_is_scaled_as_a_file_is():
    (frame, second) = frames_of_array(CLIP[:2], fps=10, short_side=128)
    assert frame.image.shape == (128, 160, 3)
    assert second.time == pytest.approx(0.1)
    (same,) = frames_of_array(CLIP[:1], fps=10, short_side=64)
    np.testing.assert_array_equal(same.image, CLIP[0])


@pytest.mark.parametrize(
    "array", [CLIP[:0], CLIP[0], CLIP[..., :1], CLIP.astype(np.float32), CLIP[:, :0]]
)
def test_other_arrays_are_no_video(array):
    with pytest.raises(UsageError, match="expected frames"):
        next(frames_of_array(array, fps=25))


def test_arguments_are_checked(tmp_path):
    path = write_clip(tmp_path)
    with pytest.raises(UsageError, match="short_side=1"):
        read_video(path, short_side=1)
    with pytest.raises(UsageError, match="max_frames=0"):
        read_video(path, max_frames=0)
    with pytest.raises(UsageError, match="frames a second"):
        next(frames_of_array(CLIP, fps=0))


# --- geometry -----------------------------------------------------------------------------------


def test_the_authors_size():
    assert scaled_size(320, 240, 256) == (340, 256)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 80), (500, 333), (1920, 1080), (719, 405)])
@pytest.mark.parametrize("short_side", [2, 64, 255, 256])
def test_the_short_side_is_met_and_the_aspect_kept(size, short_side):
    width, height = scaled_size(*size, short_side)
    assert width % 2 == height % 2 == 0
    assert min(width, height) == short_side // 2 * 2
    scale = short_side / min(size)
    for scaled, original in ((width, size[0]), (height, size[1])):
        assert original * scale - 2 < scaled <= original * scale
    assert scaled_size(*size[::-1], short_side) == (height, width)


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    assert scaled_size(720, 576, 256, pixel_aspect=Fraction(64, 45)) == (454, 256)
    assert scaled_size(64, 64, 64, pixel_aspect=Fraction(1, 2)) == (64, 128)
    assert scaled_size(64, 64, 64, pixel_aspect=Fraction(99)) == (64, 64)  # not credible
    path = write_video(tmp_path / "wide.mp4", CLIP, pixel_aspect=Fraction(2))
    assert read_video(path, short_side=64).frames.shape == (12, 64, 160, 3)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_rotated_files_come_out_upright(tmp_path, quarter_turns):
    plain = read_video(write_video(tmp_path / "a.mp4", CLIP[:2]), short_side=64)
    path = write_video(tmp_path / "b.mp4", CLIP[:2], rotation=90 * quarter_turns)
    rotated = read_video(path, short_side=64)
    np.testing.assert_array_equal(
        rotated.frames, np.rot90(plain.frames, quarter_turns, axes=(1, 2))
    )


@pytest.mark.parametrize("transposed, sx, sy", list(product((False, True), (1, -1), (1, -1))))
def test_a_display_matrix_moves_each_pixel_where_it_says(transposed, sx, sy):
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    linear = np.array([[0, sy], [sx, 0]] if transposed else [[sx, 0], [0, sy]])
    matrix = np.zeros((3, 3), np.int32)
    matrix[:2, :2] = linear * 65536
    shown = upright(image, matrix)
    points = np.array([(x, y) for y in range(2) for x in range(3)])
    moved = points @ linear
    moved -= moved.min(axis=0)
    for (x, y), (new_x, new_y) in zip(points, moved, strict=True):
        np.testing.assert_array_equal(shown[new_y, new_x], image[y, x])


def test_slight_rotations_are_rounded():
    matrix = np.zeros((3, 3), np.int32)
    matrix[:2, :2] = [[60000, 9000], [-9000, 60000]]
    np.testing.assert_array_equal(upright(CLIP[0], matrix), CLIP[0])


def test_times_only_go_forward():
    times = FrameTimes(step=0.5)
    stamps = [7.0, 7.5, None, 8.2, 8.2, 8.0, 10.0]
    shown = [times.time_of(stamp) for stamp in stamps]
    np.testing.assert_allclose(shown, [0, 0.5, 1.0, 1.2, 1.7, 2.2, 3.0])


def test_a_clock_that_restarts_runs_on():
    times = FrameTimes(step=0.5, start=7.0)
    shown = [times.time_of(stamp) for stamp in [11.0, 11.25, 7.0, 7.25, 8.25]]
    np.testing.assert_allclose(shown, [4.0, 4.25, 4.75, 5.0, 6.0])


def test_a_size_that_changes_on_the_way_is_scaled_to_the_first(tmp_path):
    h264 = ENCODERS[".mp4"]
    first = write_video(tmp_path / "a.ts", CLIP[:4], encoder=h264)
    other = write_video(tmp_path / "b.ts", moving_texture(4, 100, 60), encoder=h264)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + other.read_bytes())
    video = read_video(both, short_side=64)
    assert video.frames.shape == (8, 64, 80, 3)
    assert (np.diff(video.times) > 0).all()
    assert any("size changes (60x100, 80x64)" in warning for warning in video.warnings)


# --- damaged files ------------------------------------------------------------------------------


def decoded_or_refused(path: Path) -> int:
    """Frames decoded, 0 if refused; whatever happens must be of good form."""
    try:
        video = read_video(path, short_side=64)
    except VideoError as error:
        assert path.name in error.problem
        assert error.remedy
        return 0
    assert min(video.frames.shape[1:3]) == 64
    assert np.isfinite(video.times).all()
    assert (np.diff(video.times) > 0).all()
    return len(video.frames)


@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mkv", ".webm", ".mpg", ".gif"])
def test_truncated_at_every_eighth(tmp_path, ending):
    content = write_clip(tmp_path, f"whole{ending}").read_bytes()
    path = tmp_path / f"cut{ending}"
    counts = []
    for eighths in range(1, 8):
        path.write_bytes(content[: len(content) * eighths // 8])
        counts.append(decoded_or_refused(path))
    assert counts == sorted(counts)  # more of the file, more frames
    assert counts[-1] <= 12
    if ending in (".avi", ".mkv", ".webm"):  # whose headers tell how long it should be
        assert counts[-1] > 0
        (warning,) = read_video(path).warnings
        assert f"truncated: {counts[-1]} frames" in warning


@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mkv", ".webm", ".mpg", ".gif"])
def test_flipped_bits_never_crash(tmp_path, ending):
    content = write_clip(tmp_path, f"good{ending}").read_bytes()
    path = tmp_path / f"bad{ending}"
    for seed in range(20):
        rng = np.random.default_rng(seed)
        damaged = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, len(damaged), rng.integers(1, 40))
        damaged[places] ^= np.uint8(1) << rng.integers(0, 8, len(places)).astype(np.uint8)
        path.write_bytes(damaged.tobytes())
        decoded_or_refused(path)


def test_damage_in_the_middle_costs_some_frames_and_a_warning(tmp_path):
    content = bytearray(write_video(tmp_path / "good.avi", CLIP, encoder=MJPEG).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path = tmp_path / "bad.avi"
    path.write_bytes(content)
    video = read_video(path, short_side=64)
    assert 6 < len(video.frames) <= 12
    assert "damaged" in video.warnings[0]


# --- no videos ----------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(VideoError) as caught:
        read_video(path)
    return caught.value.problem


def test_files_without_a_video_are_refused_with_the_reason(tmp_path):
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.avi"
    empty.write_bytes(b"")
    text.write_text("These are not pictures.\n" * 30)
    assert "empty (0 bytes)" in refusal(empty)
    assert "not a video" in refusal(text)
    assert "no video stream (sound" in refusal(write_sound(tmp_path / "sound.mp4"))
    assert "not a video" in refusal(write_sound(tmp_path / "sound.wav", encoder="pcm_s16le"))
    assert "cannot be read (No such file" in refusal(tmp_path / "missing.mp4")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for ever
    (tmp_path / "folder.avi").mkdir()
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    assert "pipe or device" in refusal(tmp_path / "pipe.mp4")
    assert "folder" in refusal(tmp_path / "folder.avi")
    assert "device" in refusal(Path("/dev/null"))
    assert "symbolic links" in refusal(tmp_path / "a.mp4")
    assert re.search("null (byte|character)", refusal(tmp_path / "a\0b.mp4"))  # Python 3.11, 3.13
    with pytest.raises(VideoError, match="pipe"):
        content_sha256(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile 'other.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_scripts_that_name_other_files_are_refused(tmp_path, script):
    write_clip(tmp_path, "other.mp4")
    path = tmp_path / "script.avi"
    path.write_text(script)
    assert "not a video" in refusal(path)


@pytest.mark.parametrize(
    ("ending", "encoder"),
    [
        ("avi", ("huffyuv", "rgb24", {})),
        ("avi", ("ffvhuff", "yuv420p", {})),
        ("avi", ("cinepak", "rgb24", {})),
        ("mov", ("png", "rgb24", {})),
        ("mov", ("dnxhd", "yuv422p", {"profile": "dnxhr_sq"})),
    ],
)
def test_cameras_and_archives_of_other_codecs_are_read(tmp_path, ending, encoder):
    clip = np.stack([resized(picture, 256, 320) for picture in CLIP[:3]])
    path = write_video(tmp_path / f"clip.{ending}", clip, encoder=encoder)
    frames = list(iter_frames(path))
    assert len(frames) == 3
    assert np.abs(frames[1].image.astype(int) - clip[1]).mean() < 12


def test_exotic_decoders_do_not_run(tmp_path):
    path = write_video(tmp_path / "odd.avi", CLIP[:2], encoder=("magicyuv", "yuv444p", {}))
    assert "coded with magicyuv" in refusal(path)


def test_giant_pictures_are_refused_before_they_are_made(tmp_path):
    raw = write_video(tmp_path / "raw.avi", CLIP[:1], encoder=("rawvideo", "bgr24", {}))
    size, giant = struct.pack("<ii", 80, -64), struct.pack("<ii", 9000, -9000)
    bomb = tmp_path / "bomb.avi"
    bomb.write_bytes(raw.read_bytes().replace(size, giant))
    assert "says 9000x9000" in refusal(bomb)

    gif = write_clip(tmp_path, "clip.gif").read_bytes()  # tells its size only to the decoder
    bomb = tmp_path / "bomb.gif"
    bomb.write_bytes(gif[:6] + struct.pack("<HH", 40000, 40000) + gif[10:])
    assert "no frame can be decoded" in refusal(bomb)


def test_slivers_are_refused(tmp_path):
    path = write_video(tmp_path / "sliver.mp4", np.stack([texture(4, 100)]))
    assert "100x4" in refusal(path)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "with space.mp4",
        "line\nbreak.mp4",
        "-rf.mp4",
        "$(x);rm.mp4",
        "concat:clip.mp4",
        "http:clip.mp4",
        "%03d.mp4",
        "\u202egpj.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "x" * 251 + ".mp4",
    ],
)
def test_any_name_is_only_a_name(tmp_path, monkeypatch, name):
    content = write_clip(tmp_path).read_bytes()
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.write_bytes(content)
    assert len(read_video(path).frames) == 12
    path.write_bytes(b"no video")
    message = refusal(path)
    assert message.isprintable()
    message.encode()  # as UTF-8, or a terminal raises


def test_printable_names_stay_as_they_are():
    assert printable(Path("Œuvre 1/größe.mp4")) == "Œuvre 1/größe.mp4"
    assert printable(Path("a\nb")) == "a\\nb"
