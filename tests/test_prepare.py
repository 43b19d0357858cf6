"""Laws of preparing: right flow, same bytes again, resumed where it was, nothing half."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import stresnet.data.prepare.one as prepare_video_module
from making_stores import PREPARATION, contents
from making_videos import moving_texture, read_video, write_video
from stresnet.data.prepare.many import prepare
from stresnet.data.prepare.one import prepare_frames, prepare_video
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import EnvironmentProblem, StoreError, UsageError, VideoError
from stresnet.flow import TVL1Parameters, to_pixels
from stresnet.flow.quantize import stored_scale
from stresnet.progress import Progress

QUICK = TVL1Parameters(scales=2, warps=2, iterations=10)
SMALL = {"parameters": QUICK, "short_side": 64}
CLIP = moving_texture(6, 64, 80, step=(3, 0))


def write_clip(path: Path, *, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, moving_texture(6, 64, 80, seed=seed))


# --- one video ----------------------------------------------------------------------------------


def test_frames_flow_and_facts_are_stored(tmp_path):
    video = write_video(tmp_path / "clip.mp4", CLIP)
    stored = prepare_video(video, tmp_path / "clip.zip", short_side=64)
    decoded = read_video(video, short_side=64)
    assert np.abs(stored.frames(range(6)).astype(int) - decoded.frames).mean() < 3
    np.testing.assert_array_equal(stored.times, decoded.times)
    flow = to_pixels(stored.flow(range(5)))[..., 8:-8, 8:-8] / stored_scale(64)
    assert np.median(flow[:, 0]) == pytest.approx(3, abs=0.3)  # to the right
    assert np.median(flow[:, 1]) == pytest.approx(0, abs=0.3)
    assert stored.index.origin.name == "clip.mp4"
    stored.check(preparation(short_side=64))
    assert {"av", "numba", "simplejpeg", "stresnet"} <= stored.index.libraries.keys()


def test_blocks_do_not_show(tmp_path, monkeypatch):
    video = write_video(tmp_path / "clip.mp4", CLIP)
    whole = prepare_video(video, tmp_path / "whole.zip", **SMALL)
    for block in (1, 2, 5):
        monkeypatch.setattr(prepare_video_module, "BLOCK", block)
        blocks = prepare_video(video, tmp_path / "blocks.zip", **SMALL, threads=2)
        np.testing.assert_array_equal(blocks.frames(range(6)), whole.frames(range(6)))
        np.testing.assert_array_equal(blocks.flow(range(5)), whole.flow(range(5)))
        assert blocks.index == whole.index


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_videos(tmp_path, frames):
    video = write_video(tmp_path / "short.avi", CLIP[:frames])
    stored = prepare_video(video, tmp_path / "short.zip", **SMALL)
    assert stored.num_frames == frames
    assert stored.flow([0]).shape == (1, 2, 64, 80)


def test_an_array_gives_what_its_file_gives(tmp_path):
    video = write_video(tmp_path / "clip.mp4", CLIP)
    decoded = read_video(video, short_side=64)
    from_file = prepare_video(video, tmp_path / "file.zip", **SMALL)
    from_array = prepare_frames(decoded.frames, tmp_path / "array.zip", fps=25, **SMALL)
    np.testing.assert_array_equal(from_array.frames(range(6)), from_file.frames(range(6)))
    np.testing.assert_array_equal(from_array.flow(range(5)), from_file.flow(range(5)))
    np.testing.assert_allclose(from_array.times, from_file.times, atol=1e-9)


def test_what_was_lost_is_kept_with_the_video(tmp_path):
    video = write_video(tmp_path / "clip.avi", moving_texture(20))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size * 7 // 8])
    stored = prepare_video(cut, tmp_path / "cut.zip", **SMALL)
    assert "truncated" in stored.warnings[0]
    assert str(tmp_path) not in stored.warnings[0]  # or the bytes would depend on the folder


def test_a_bad_video_leaves_nothing(tmp_path):
    (tmp_path / "bad.avi").write_text("no video")
    with pytest.raises(VideoError):
        prepare_video(tmp_path / "bad.avi", tmp_path / "out" / "bad.zip")
    assert contents(tmp_path) == {"bad.avi": b"no video"}


def test_the_preparation_tells_all_parameters():
    assert PREPARATION["short_side"] == 256
    assert PREPARATION["tv_l1_theta"] == 0.3
    assert preparation(QUICK) != PREPARATION


# --- names --------------------------------------------------------------------------------------


def test_every_name_has_its_own_path_below_out():
    out = Path("out")
    assert store_path(out, "CLASS/clip.avi") == Path("out/CLASS/clip.avi.zip")
    names = ["a.avi", "a.mp4", "b/a.avi", "x" * 250 + "1.avi", "x" * 250 + "2.avi", "ä" * 120]
    paths = {store_path(out, name) for name in names}
    assert len(paths) == len(names)
    assert all(len(os.fsencode(path.name)) < 230 for path in paths)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../clip.avi", "a/../../clip.avi", "."])
def test_names_that_lead_out_are_refused(name):
    with pytest.raises(UsageError, match="cannot name a video"):
        store_path(Path("out"), name)


def test_names_must_differ(tmp_path):
    with pytest.raises(UsageError, match=r"2 videos share their names: a.avi, a.avi"):
        prepare([tmp_path / "1" / "a.avi", tmp_path / "2" / "a.avi"], tmp_path / "out")
    with pytest.raises(UsageError, match="workers"):
        prepare([tmp_path / "a.avi"], tmp_path / "out", workers=0)


# --- many videos --------------------------------------------------------------------------------


def test_many_videos_then_again(tmp_path):
    """Bad ones stop no other; what is done is skipped; what is damaged or changed is made anew."""
    videos, out = tmp_path / "videos", tmp_path / "out"
    names = [
        "run/-rf $(x).mp4",
        "run/clip.avi",
        "run/clip.mp4",
        "walk/line\nbreak.mp4",
        os.fsdecode(b"walk/\xff.mp4"),
    ]
    for seed, name in enumerate(names):
        write_clip(videos / name, seed=seed)
    (videos / "=bad.mp4").write_text("no video")
    jobs = [(videos / name, name) for name in [*names, "=bad.mp4", "none.mp4"]]
    progress: list[Progress] = []

    report = prepare(jobs, out, workers=2, **SMALL, on_progress=progress.append)
    assert report.done == tuple(names)
    assert report.skipped == ()
    assert [name for name, _ in report.failures] == ["=bad.mp4", "none.mp4"]
    done = [each.done for each in progress]
    assert done == sorted(done)
    assert done[-1] == 7
    assert {each.total for each in progress} == {7}
    assert {each.item for each in progress} == {name for _, name in jobs}
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == ["'=bad.mp4", "none.mp4"]
    assert "not a video" in rows[0]["reason"]
    assert all(StoredVideo(store_path(out, name)).num_frames == 6 for name in names)
    first = contents(out)

    damaged = bytearray(store_path(out, names[0]).read_bytes())
    damaged[500] ^= 1
    store_path(out, names[0]).write_bytes(damaged)
    kept = {name: store_path(out, name).stat().st_mtime_ns for name in names[1:]}
    write_clip(videos / names[1], seed=99)
    report = prepare(jobs[:6], out, workers=1, **SMALL)
    assert report.done == tuple(names[:2])
    assert report.skipped == tuple(names[2:])
    second = contents(out)
    assert {path for path in first if first[path] != second[path]} == {
        "run/clip.avi.zip",
        "failures.csv",
    }
    assert all(store_path(out, name).stat().st_mtime_ns == kept[name] for name in names[2:])

    other = TVL1Parameters(scales=1, warps=1, iterations=5)
    report = prepare(jobs[:1], tmp_path / "other", workers=1, parameters=other, short_side=64)
    assert report.done == (names[0],)
    with pytest.raises(StoreError, match="tv_l1_warps is 1, expected 2"):
        stored = StoredVideo(store_path(tmp_path / "other", names[0]))
        stored.check(preparation(QUICK, short_side=64))
    assert prepare(jobs[:1], out, workers=1, **SMALL).failures == ()
    assert not (out / "failures.csv").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        prepare([tmp_path / "none.mp4"], tmp_path / "out")


def test_nothing_to_do(tmp_path):
    report = prepare([], tmp_path / "out")
    assert (report.done, report.skipped, report.failures) == ((), (), ())


PREPARE = """
import sys
from pathlib import Path
from stresnet.data.prepare.many import prepare

if __name__ == "__main__":
    videos, out = map(Path, sys.argv[1:])
    prepare(sorted(videos.iterdir()), out, workers=2, short_side=64)
"""


@pytest.mark.slow  # as of a store in test_store.py, with the whole verb
def test_kill_9_then_again_gives_the_same_bytes(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    for seed in range(2):
        write_video(videos / f"{seed}.mp4", moving_texture(40, 64, 80, seed=seed))
    command = [sys.executable, "-c", PREPARE, str(videos)]
    subprocess.run([*command, str(tmp_path / "undisturbed")], check=True)

    for seconds in (0.15, 0.0):
        process = subprocess.Popen([*command, str(out)], start_new_session=True)
        while not list(out.glob(".*.partial")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for store in out.glob("*.zip"):
            StoredVideo(store).verify()
    assert list(out.glob(".*.partial"))
    time.sleep(0.2)  # until the killed workers are gone from the table of processes
    subprocess.run([*command, str(out)], check=True)
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_ending_the_run_ends_its_workers_and_leaves_nothing_half(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    write_video(videos / "long.mp4", moving_texture(200, 64, 80, step=(1, 0)))
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(videos), str(out)], stderr=subprocess.PIPE
    )
    while not list(out.glob(".*.partial")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert contents(out) == {}


# --- what a full disk and killed runs do --------------------------------------------------------


def test_a_full_disk_stops_the_run(tmp_path):
    def full(function, jobs, **options):
        yield next(iter(jobs)), EnvironmentProblem("the disk is full")

    with pytest.raises(EnvironmentProblem, match="disk is full"):
        prepare([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "out", engine=full)
