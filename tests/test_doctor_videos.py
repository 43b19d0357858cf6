"""Which videos the doctor finds unusable or odd, and why."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from making_stores import without_processes
from making_videos import MJPEG, moving_texture, write_sound, write_video
from stresnet.diagnosis import VideoCondition
from stresnet.diagnosis import videos as subject
from stresnet.diagnosis.videos import examine_videos
from stresnet.errors import DatasetError, JobError


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("slow") is None:
        without_processes(monkeypatch)


def clip(frames: int = 12, height: int = 112, width: int = 128) -> np.ndarray:
    return moving_texture(frames, height, width)


def examined(path: Path, *, thorough: bool = False) -> VideoCondition:
    (condition,) = examine_videos(path, thorough=thorough)
    return condition


def the_oddity(path: Path) -> str:
    condition = examined(path)
    assert not condition.unusable
    (sentence,) = condition.odd
    return sentence


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".webm"])
def test_what_is_fine(ending: str, tmp_path: Path) -> None:
    found = examined(write_video(tmp_path / f"a{ending}", clip(40)))
    assert (found.unusable, found.odd) == ("", ())


def test_every_video_of_a_folder_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    write_video(tmp_path / "walk" / "b.mp4", clip())
    (tmp_path / "a.mp4").write_text("no video")
    write_sound(tmp_path / "c.mp4")
    (tmp_path / ".hidden").touch()
    (tmp_path / "walk" / "list.CSV").touch()
    heard = []
    text, sound, fine = examine_videos(tmp_path, on_progress=heard.append)
    assert [video.name for video in (text, sound, fine)] == ["a.mp4", "c.mp4", "walk/b.mp4"]
    assert text.unusable.startswith("not a video, or its start is damaged")
    assert "sound or a cover picture only" in sound.unusable
    assert text.remedy and sound.remedy
    assert (fine.unusable, fine.odd) == ("", ())
    assert [(news.done, news.total) for news in heard] == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(DatasetError):
        examine_videos(tmp_path / "nowhere")


@pytest.mark.parametrize("left", [0.75, 0.4], ids=["later", "among the first frames"])
def test_a_cut_file_is_told_once(left: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", clip(80))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left)])
    (told,) = [sentence for sentence in examined(path).odd if "flow is repeated" not in sentence]
    assert told.startswith("damaged or truncated: ")
    assert "of 80 (" in told


def test_a_cut_matroska_announces_only_seconds(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", clip(80), encoder=MJPEG).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    assert "of 3.2 seconds" in the_oddity(cut)


def test_damage_in_a_later_frame_is_seen_by_a_thorough_look(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", clip(60))
    content = bytearray(path.read_bytes())
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    start = packets[50].pos
    content[start : start + 4] = b"\xff" * 4  # the length of what follows
    path.write_bytes(content)
    assert examined(path).odd == ()
    assert examined(path, thorough=True).odd[0].startswith("damaged or truncated: ")


@pytest.mark.parametrize(
    ("sentence", "frames", "how"),
    [
        ("a single picture", clip(1), {}),
        ("5 frames, fewer than the 11", clip(5), {}),
        ("64x48 pixels", clip(12, 48, 64), {}),
        ("5 frames a second: flow is per frame, so all looks too fast", clip(), {"fps": 5}),
        ("120 frames a second: flow is per frame, so all looks too slow", clip(), {"fps": 120}),
        ("nothing moves in the first 12 frames", np.repeat(clip(1), 12, axis=0), {}),
        ("of the first 12 frames repeat the one before", np.repeat(clip(6), 2, axis=0), {}),
        ("nothing but black in", np.zeros((12, 112, 128, 3), np.uint8), {}),
        ("uneven", clip(40), {"times": [i / 50 + (i > 5) * 1.5 for i in range(40)]}),
        ("uneven", clip(), {"times": [i**2 / 200 for i in range(12)]}),
    ],
)
def test_what_is_odd(sentence: str, frames: np.ndarray, how: dict, tmp_path: Path) -> None:
    ending = "mkv" if "times" in how else "mp4"
    assert sentence in the_oddity(write_video(tmp_path / f"a.{ending}", frames, **how))


def test_a_video_longer_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MAX_FRAMES", 10)
    assert the_oddity(write_video(tmp_path / "a.mp4", clip())) == (
        "12 frames, of which the first 10 are read"
    )


def test_what_the_encoder_says_of_light_and_fields(tmp_path: Path) -> None:
    def written(name: str, **options: str) -> Path:
        encoder = ("libx264", "yuv420p", {"preset": "ultrafast", **options})
        return write_video(tmp_path / name, clip(), encoder=encoder)

    hdr = written("hdr.mp4", **{"x264-params": "transfer=smpte2084"})
    assert the_oddity(hdr).startswith("HDR (PQ)")
    fields = written("fields.mp4", **{"x264-params": "interlaced=1:tff=1"})
    assert the_oddity(fields).startswith("interlaced")


def test_a_video_that_kills_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", clip(1))

    def dies(function, jobs, *, workers, on_progress):
        for name in jobs:
            yield name, JobError("its process died (exit code -11)", remedy="remove it")

    monkeypatch.setattr(subject, "map_in_processes", dies)
    found = examined(path)
    assert found.unusable == "its process died (exit code -11)"
    assert found.remedy


@pytest.mark.slow
def test_in_worker_processes_it_is_the_same(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", clip())
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "c.mp4").touch()
    found = examine_videos(tmp_path, workers=2)
    assert [bool(video.unusable) for video in found] == [False, False, True]
