"""Videos prepared in a process of their own, ahead of who wants them."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

import stresnet.data.prepare.ahead as module
from making_videos import moving_texture, write_video
from stresnet.data.prepare.ahead import prepared_ahead
from stresnet.data.prepare.one import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import EnvironmentProblem, VideoError
from stresnet.flow import FAST


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return write_video(tmp_path / "long.mp4", moving_texture(400, 64, 64))


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return write_video(tmp_path / "short.mp4", moving_texture(3, 64, 64))


def test_the_same_as_here_and_an_unreadable_one_stops_no_other(tmp_path: Path, short: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    here = prepare_video(short, tmp_path / "here.zip", parameters=FAST)
    with prepared_ahead([short, broken, short], parameters=FAST, isolated=True) as prepared:
        for video, stored in prepared:
            if video == broken:
                assert isinstance(stored, VideoError)
                continue
            assert isinstance(stored, StoredVideo)
            assert stored.path.read_bytes() == here.path.read_bytes()
    assert not stored.path.exists()


def test_a_crash_costs_one_video(long: Path, short: Path) -> None:
    with prepared_ahead([long, short], parameters=FAST, isolated=True) as prepared:
        first = _worker()
        first.kill()
        first.join()
        threading.Timer(1.0, lambda: _worker().kill()).start()
        video, error = next(prepared)
        assert video == long
        assert isinstance(error, VideoError)
        assert "long.mp4: its process died (exit code -9)" in str(error)
        video, stored = next(prepared)
        assert video == short
        assert isinstance(stored, StoredVideo)


def test_a_full_disk_ends_all(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(function, jobs, **options):  # type: ignore[no-untyped-def]
        for job in jobs:
            yield job, EnvironmentProblem("the disk is full")

    monkeypatch.setattr(module, "map_in_processes", full)
    with (
        prepared_ahead([short, short], parameters=FAST, isolated=True) as prepared,
        pytest.raises(EnvironmentProblem, match="disk is full"),
    ):
        next(prepared)


def test_leaving_ends_the_process_in_the_middle_of_a_video(long: Path) -> None:
    with prepared_ahead([long], parameters=FAST, isolated=True):
        worker = _worker()
    assert not worker.is_alive()
    assert not multiprocessing.active_children()


def _worker() -> multiprocessing.Process:
    until = time.monotonic() + 10
    while not (children := multiprocessing.active_children()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return children[0]
