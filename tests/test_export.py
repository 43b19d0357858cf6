"""Laws of the layouts that others read: right names and contents, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import stresnet.data.formats.write as export_module
from making_stores import contents, moving_store, without_processes
from stresnet.data.formats.layouts import Layout
from stresnet.data.formats.write import export, pictures
from stresnet.data.store.jpeg import decode_grey, size_of
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.files import atomic_directory
from stresnet.flow import to_pixels

NAMES = ("run/a.mp4", "walk/b.avi")
OTHERS = [format for format in Layout if format is not Layout.STORE]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        moving_store(tmp_path / "store", name, frames=4, seed=seed)
    return tmp_path / "store"


def decoded(jpeg: bytes) -> np.ndarray:
    levels = np.empty(size_of(jpeg), np.uint8)
    decode_grey(jpeg, levels)
    return levels


EXPECTED = {
    Layout.AUTHORS: {
        *(f"jpegs_256/a/frame{number:06d}.jpg" for number in (1, 2, 3, 4)),
        *(f"tvl1_flow/{axis}/a/frame{number:06d}.jpg" for axis in "uv" for number in (1, 2, 3)),
    },
    Layout.WEBDATASET: {
        "run/a.index.json",
        *(f"run/a.{number:06d}.rgb.jpg" for number in (0, 1, 2, 3)),
        *(f"run/a.{number:06d}.flow_{axis}.jpg" for axis in "xy" for number in (0, 1, 2)),
    },
}


@pytest.mark.parametrize("format", OTHERS)
def test_names_and_numbers_of_each_layout(store, tmp_path, format):
    report = export(NAMES, store, tmp_path / "out", format)
    assert report.done == NAMES
    written = set(contents(tmp_path / "out"))
    if format is Layout.WEBDATASET:
        with tarfile.open(tmp_path / "out" / "run" / "a.tar") as tar:
            assert set(tar.getnames()) == EXPECTED[format]
    else:
        assert {path for path in written if "a/" in path and ".done" not in path} == EXPECTED[
            format
        ]


def test_frames_keep_their_bytes_and_x_is_never_y(store):
    stored = StoredVideo(store / "run" / "a.mp4.zip")
    kinds: list[list[bytes]] = [[], [], []]
    for kind, index, jpeg in pictures(stored):
        assert len(kinds[kind]) == index
        kinds[kind].append(jpeg)
    frames, x, y = kinds
    assert frames == list(stored.jpegs("rgb"))
    flow = to_pixels(stored.flow([0]))[0]
    assert np.median(flow[0]) == pytest.approx(3, abs=0.1)
    assert np.abs(to_pixels(np.stack([decoded(x[0]), decoded(y[0])])) - flow).mean() < 0.1


def test_run_again_only_what_changed_is_written_anew(store, tmp_path):
    out = tmp_path / "out"
    export(NAMES, store, out, Layout.AUTHORS)
    first = contents(out)
    assert export(NAMES, store, out, Layout.AUTHORS).skipped == NAMES
    assert contents(out) == first
    moving_store(store, NAMES[0], frames=3, seed=7)  # fewer frames: none of the old may stay
    report = export(NAMES, store, out, Layout.AUTHORS)
    assert (report.done, report.skipped) == (NAMES[:1], NAMES[1:])
    assert not (out / "jpegs_256/a/frame000004.jpg").exists()
    (out / "tvl1_flow/u/b").rename(tmp_path / "moved")
    assert export(NAMES, store, out, Layout.AUTHORS).done == NAMES[1:]
    assert {path: data for path, data in contents(out).items() if "/b/" in path} == {
        path: data for path, data in first.items() if "/b/" in path
    }


def test_what_is_missing_or_damaged_is_listed(store, tmp_path):
    out = tmp_path / "out"
    damaged = bytearray((store / "walk/b.avi.zip").read_bytes())
    damaged[300] ^= 1
    (store / "walk/b.avi.zip").write_bytes(damaged)
    report = export([*NAMES, "none.mp4"], store, out, Layout.AUTHORS)
    assert report.done == NAMES[:1]
    assert [name for name, _ in report.failures] == ["none.mp4", "walk/b.avi"]
    assert "walk/b.avi" in (out / "failures.csv").read_text()
    assert not list(out.rglob("b"))


@pytest.mark.parametrize("format", OTHERS)
def test_kill_9_at_any_moment_then_again_gives_the_same_bytes(store, tmp_path, monkeypatch, format):
    export(NAMES, store, tmp_path / "undisturbed", format)
    out = tmp_path / "out"
    for moment in range(0, 14, 3):
        child = multiprocessing.get_context("fork").Process(
            target=export_and_die, args=(store, out, format, moment)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        if moment == 0:
            assert list(out.rglob(".*.partial"))
    export(NAMES, store, out, format)
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert not list(out.rglob(".*.partial"))


def test_a_half_written_video_is_not_taken_for_the_former_one(store, tmp_path, monkeypatch):
    """Written from A, then in part from B, then from A again: the mark of A must be gone."""
    out = tmp_path / "out"
    export(NAMES, store, out, Layout.AUTHORS)
    first = contents(out)
    moving_store(store, NAMES[0], frames=3, seed=7)
    rename = Path.rename

    def rename_and_fail(path: Path, target: Path) -> None:
        rename(path, target)
        if target.suffix != ".previous":
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_and_fail)
        with pytest.raises(RuntimeError):
            export(NAMES, store, out, Layout.AUTHORS)
    assert contents(out) != first
    moving_store(store, NAMES[0], frames=4, seed=0)
    export(NAMES, store, out, Layout.AUTHORS)
    assert contents(out) == first


def export_and_die(store: Path, out: Path, format: Layout, moment: int) -> None:
    """Die by kill -9 before the file of that number, or else between two renames."""

    def dying(*args):
        for number, file in enumerate(pictures(*args)):
            if number == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            yield file

    def die_at_rename(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    export_module.pictures = dying
    if moment >= 9:
        export_module.pictures = pictures
        Path.replace = die_at_rename  # type: ignore[method-assign]  # of the mark, or of the tar
    export(NAMES, store, out, format)


def test_equal_stores_give_equal_tars(store, tmp_path):
    for folder in ("a", "b"):
        export(NAMES, store, tmp_path / folder, Layout.WEBDATASET)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("format", "names"),
    [
        (Layout.AUTHORS, ("run/a.mp4", "walk/a.mp4")),
        (Layout.WEBDATASET, ("run/a.mp4", "run/a.avi")),
        (Layout.WEBDATASET, ("run.mp4", "run/a.avi")),
        (Layout.WEBDATASET, ("a.b.mp4", "a_b.mp4")),
    ],
)
def test_videos_that_would_overwrite_each_other_are_refused(tmp_path, format, names):
    with pytest.raises(UsageError, match="overwrite each other"):
        export(names, tmp_path, tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_the_store_itself_is_no_export(tmp_path):
    with pytest.raises(UsageError, match="authors, webdataset"):
        export(NAMES, tmp_path, tmp_path / "out", Layout.STORE)


def test_one_frame_has_no_flow_files(tmp_path):
    moving_store(tmp_path / "store", "still.mp4", frames=1)
    export(["still.mp4"], tmp_path / "store", tmp_path / "out", Layout.AUTHORS)
    assert (tmp_path / "out/jpegs_256/still/frame000001.jpg").exists()
    assert list((tmp_path / "out/tvl1_flow/u/still").iterdir()) == []


# --- whole folders ------------------------------------------------------------------------------


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "clip"
    with pytest.raises(RuntimeError), atomic_directory(target, ours=r".*\.jpg$") as partial:
        (partial / "1.jpg").touch()
        raise RuntimeError
    assert list(tmp_path.rglob("*.jpg")) == []
    for content in ("old", "new"):
        with atomic_directory(target, ours=r".*\.jpg$") as partial:
            (partial / f"{content}.jpg").touch()
    assert [path.name for path in target.iterdir()] == ["new.jpg"]
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").touch()
    for name, said in (
        ("mine", r"thesis\.tex"),
        ("link", "not a folder"),
        ("file", "not a folder"),
    ):
        with (
            pytest.raises(UsageError, match=said),
            atomic_directory(tmp_path / name, ours=r"\d{6}\.flo$"),
        ):
            pass
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_full_disk_is_told(tmp_path):
    with (
        pytest.raises(EnvironmentProblem, match="disk is full"),
        atomic_directory(tmp_path / "a", ours=r".*\.jpg$"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_layout_names_need_no_numpy():
    """`--help` reads the layouts' names."""
    code = "import sys, stresnet.data.formats.layouts; print('numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "False\n"
