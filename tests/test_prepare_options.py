"""Parts of a job array, what a dry run foretells, and the progress of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stresnet.data.prepare.estimate as dry_run_module
import stresnet.data.prepare.one as prepare_video_module
from making_stores import contents, without_processes
from making_videos import moving_texture, write_sound, write_video
from stresnet.data.prepare.estimate import estimate_preparation
from stresnet.data.prepare.many import prepare
from stresnet.data.prepare.part import WHOLE, Part
from stresnet.data.video.folders import find_videos
from stresnet.data.video.probe import probe
from stresnet.errors import UsageError, VideoError
from stresnet.progress import Progress


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


def written(folder: Path, count: int = 3) -> list[tuple[Path, str]]:
    """Videos of 10 frames at 25 frames/s, 80x64 pixels, and one that is none."""
    folder.mkdir()
    for seed in range(count):
        write_video(folder / f"{seed}.mp4", moving_texture(10, 64, 80, seed=seed))
    (folder / "bad.mp4").write_text("no video")
    return find_videos(folder)


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [1, 2, 3, 8, 100])
def test_every_video_is_in_exactly_one_part(of):
    names = [f"CLASS/clip {number}.avi" for number in range(200)]
    parts = [[name for name in names if Part(number + 1, of).holds(name)] for number in range(of)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert max(map(len, parts)) < 3 * len(names) / of + 5


def test_a_part_depends_on_the_name_alone():
    """So these must never change: parts of one job may run under different versions."""
    parts = [next(i for i in range(1, 9) if Part(i, 8).holds(name)) for name in ("a", "b/c.avi")]
    assert parts == [3, 6]
    assert Part(1, 1).holds("\udcff")


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "2", "2/8/3", "-1/8", "a/b", "", "2/8 "])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(UsageError, match="part"):
        Part.parse(text)


def test_parts_share_a_folder_and_never_a_file(tmp_path):
    videos = written(tmp_path / "videos")
    prepare(videos, tmp_path / "whole")
    parts = [Part.parse(f"{number}/3") for number in (1, 2, 3)]
    reports = [prepare(videos, tmp_path / "parts", part=part) for part in parts]
    assert sum(len(report.done) for report in reports) == 3
    whole, in_parts = contents(tmp_path / "whole"), contents(tmp_path / "parts")
    (failing,) = (part for part in parts if part.holds("bad.mp4"))
    assert in_parts.pop(f"failures-{failing.number}-of-3.csv") == whole.pop("failures.csv")
    assert in_parts == whole
    assert WHOLE.failures_file == "failures.csv"


# --- progress -----------------------------------------------------------------------------------


def test_progress_within_a_video(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_video_module, "BLOCK", 4)
    video = write_video(tmp_path / "a.mp4", moving_texture(10, 64, 80))
    told: list[Progress] = []
    prepare([video], tmp_path / "out", on_progress=told.append)
    assert told == [Progress(done, 1, "a.mp4") for done in (0, 0.4, 0.8, 0.99, 1)]


# --- what headers announce ----------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".webm"])
def test_headers_tell_the_length(tmp_path, ending):
    path = write_video(tmp_path / f"a{ending}", moving_texture(10, 64, 80), fps=10)
    length = probe(path, short_side=32)
    assert abs(length.frames - 10) <= 1  # Matroska tells milliseconds only
    assert length.seconds == pytest.approx(1, abs=0.11)
    assert length.pixels == 40 * 32


def test_headers_that_do_not_tell(tmp_path):
    path = write_video(tmp_path / "a.gif", moving_texture(10, 64, 80))
    assert probe(path).frames in (0, 10)
    with pytest.raises(VideoError, match="no video stream"):
        probe(write_sound(tmp_path / "sound.mp4"))


# --- the dry run --------------------------------------------------------------------------------


def test_a_dry_run_foretells_and_writes_nothing(tmp_path):
    videos = written(tmp_path / "videos")
    before = contents(tmp_path)
    estimate = estimate_preparation(videos, tmp_path / "deep" / "out", workers=1)
    assert contents(tmp_path) == before
    assert not (tmp_path / "deep").exists()
    assert (estimate.videos, estimate.prepared) == (4, 0)
    assert [name for name, _ in estimate.failures] == ["bad.mp4"]
    assert estimate.frames == 30
    assert estimate.seconds == pytest.approx(1.2)
    assert estimate.speed > 0
    assert estimate.hours == pytest.approx(30 / estimate.speed / 3600)
    assert estimate.free > 1e6

    prepare(videos, tmp_path / "out")
    size = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.zip"))
    assert estimate.bytes == pytest.approx(size, rel=0.25)
    again = estimate_preparation(videos, tmp_path / "out")
    assert (again.prepared, again.frames, again.hours, again.bytes) == (3, 0, 0, 0)


def test_a_dry_run_of_a_part(tmp_path):
    videos = [video for video in written(tmp_path / "videos") if video[1] != "bad.mp4"]
    part = Part(1, 2)
    estimate = estimate_preparation(videos, tmp_path / "out", part=part)
    assert estimate.videos == sum(part.holds(name) for _, name in videos)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_the_hours(tmp_path, monkeypatch, workers):
    videos = written(tmp_path / "videos", count=2)
    monkeypatch.setattr(dry_run_module, "_rates", lambda *_: (1e-6, 0.5))
    estimate = estimate_preparation(videos, tmp_path / "out", workers=workers)
    pixels = 20 * 320 * 256
    assert estimate.hours * 3600 == pytest.approx(pixels * 1e-6 / workers)
    assert estimate.speed == pytest.approx(workers / (320 * 256 * 1e-6))
    assert estimate.bytes == pytest.approx(pixels / 2)


def test_nothing_can_be_prepared(tmp_path, monkeypatch):
    """Headers are good, the rest is not: a estimate without a speed."""
    videos = written(tmp_path / "videos", count=1)

    def fail(*_, **__):
        raise VideoError("no frame can be decoded")

    monkeypatch.setattr(dry_run_module, "iter_frames", fail)
    estimate = estimate_preparation(videos, tmp_path / "out")
    assert (estimate.frames, estimate.speed, estimate.hours) == (10, 0, 0)
    assert np.isfinite(estimate.bytes)
