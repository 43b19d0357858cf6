"""The verbs prepare, import, check and flow: exit codes, and what a person reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from making_stores import PREPARATION, contents, moving_store, without_processes, write_denseflow
from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.cli.prepare import layout_folder
from stresnet.data.formats.layouts import Layout
from stresnet.data.store.index import Indexed, Look, add_to_index, read_index
from stresnet.data.store.jpeg import encode_grey
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("run/a.mp4", "walk/b.mp4")):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True)
        write_video(path, moving_texture(3, 48, 64, seed=seed))
    return tmp_path / "videos"


def stresnet(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_prepare_then_again(videos, tmp_path):
    out = tmp_path / "store"
    first = stresnet("prepare", videos, "--out", out)
    assert first.exit_code == 0
    assert "2 prepared, 0 already there, 0 failed" in first.stderr
    assert "prepare: 2 of 2" in first.stderr
    assert "0 prepared, 2 already there" in stresnet("prepare", videos, "--out", out).stderr


def test_a_list_is_prepared_as_its_folder_is(videos, tmp_path):
    """Each video once, though two segments of it are labelled; what is not listed is left out."""
    write_video(videos / "run/c.mp4", moving_texture(3, 48, 64))
    rows = "run/a.mp4,x,0,1\nrun/a.mp4,y,1,2\nwalk/b.mp4,x,0,1\n"
    (videos / "list.csv").write_text("path,label,start,end\n" + rows)
    out = tmp_path / "store"
    assert (
        "2 prepared, 0 already there"
        in stresnet("prepare", videos / "list.csv", "--out", out).stderr
    )
    assert "1 prepared, 2 already there" in stresnet("prepare", videos, "--out", out).stderr
    (videos / "list.csv").write_text("path,label\n")
    assert "lists no video" in stresnet("prepare", videos / "list.csv", "--out", out).stderr


def test_bad_videos_give_exit_code_1(videos, tmp_path):
    (videos / "bad.avi").write_text("no video")
    result = stresnet("prepare", videos, "--out", tmp_path / "store")
    assert result.exit_code == 1
    assert "2 prepared, 0 already there, 1 failed" in result.stderr
    assert "failed: bad.avi:" in result.stderr
    assert "bad.avi" in (tmp_path / "store" / "failures.csv").read_text()


def test_what_was_lost_is_said_and_counted_and_no_failure(videos, tmp_path):
    """By prepare, again by prepare that skips it, and by check."""
    cut = write_video(videos / "cut.avi", moving_texture(20, 64, 80))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 7 // 8])
    out = tmp_path / "store"
    for done in ("3 prepared, 0", "0 prepared, 3"):
        result = stresnet("prepare", videos, "--out", out)
        assert result.exit_code == 0
        assert f"{done} already there, 0 failed, 1 warnings" in result.stderr
        assert "warning: cut.avi: damaged or truncated" in result.stderr
    checked = stresnet("check", out)
    assert checked.exit_code == 0
    assert "warning: cut.avi: damaged or truncated" in checked.stderr
    assert "1 of damaged or truncated videos" in checked.stderr


def test_many_failures_are_named_in_part(tmp_path):
    (tmp_path / "videos").mkdir()
    for number in range(30):
        (tmp_path / "videos" / f"{number}.avi").touch()
    result = stresnet("prepare", tmp_path / "videos", "--out", tmp_path / "store")
    assert result.stderr.count("failed: ") == 20
    assert "and 10 more; all are in" in result.stderr


def test_dry_run_tells_files_time_and_gigabytes(videos, tmp_path):
    out = tmp_path / "store"
    result = stresnet("prepare", videos, "--out", out, "--dry-run", "--format", "authors")
    assert result.exit_code == 0
    assert not out.exists()
    for part in (
        "2 videos: 2 to prepare, 0 already there, 0 cannot be opened",
        "6 frames, 0.0 minutes of video",
        "minutes of work, at",
        "GB in",
        "and as much again in",
        "GB free",
    ):
        assert part in result.stderr
    (videos / "bad.avi").write_text("no video")
    assert stresnet("prepare", videos, "--out", out, "--dry-run").exit_code == 1


def test_a_part_of_a_job_array(videos, tmp_path):
    (videos / "bad.avi").write_text("no video")
    out = tmp_path / "store"
    results = [stresnet("prepare", videos, "--out", out, "--part", f"{i}/2") for i in (1, 2)]
    assert sorted(result.exit_code for result in results) == [0, 1]
    assert len(list(out.rglob("*.zip"))) == 2
    assert [path.name[:9] for path in out.glob("*.csv")] == ["failures-"]
    assert stresnet("prepare", videos, "--out", out, "--part", "0/2").exit_code == 2


@pytest.mark.parametrize("format", ["authors", "webdataset"])
def test_a_layout_beside_the_store(videos, tmp_path, format):
    (videos / "bad.avi").write_text("no video")
    out = tmp_path / "store"
    result = stresnet("prepare", videos, "--out", out, "--format", format)
    assert result.exit_code == 1  # for the bad one
    assert "2 written, 0 already there, 0 failed" in result.stderr
    before = contents(tmp_path / f"store-{format}")
    assert before
    again = stresnet("prepare", videos, "--out", out, "--format", format)
    assert "0 written, 2 already there" in again.stderr
    assert contents(tmp_path / f"store-{format}") == before


def test_clashing_names_are_told_before_the_work(videos, tmp_path):
    (videos / "walk" / "b.mp4").rename(videos / "walk" / "a.mp4")
    result = stresnet("prepare", videos, "--out", tmp_path / "store", "--format", "authors")
    assert result.exit_code == 2
    assert "overwrite each other" in result.stderr
    assert not (tmp_path / "store").exists()


def test_the_layout_lies_beside_the_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert layout_folder(Path("store"), Layout.AUTHORS) == Path("store-authors")
    assert layout_folder(Path("a/b/"), Layout.WEBDATASET) == Path("a/b-webdataset")
    beside = tmp_path.with_name(f"{tmp_path.name}-webdataset")
    assert layout_folder(Path(), Layout.WEBDATASET) == beside


# --- import and check ---------------------------------------------------------------------------


def exported(folder: Path, format: str) -> Path:
    # As `prepare` stores pictures of 64 px; denseflow's own count pixels of these.
    times = 4 if format == "authors" else 1
    for seed, name in enumerate(("run/a.mp4", "walk/b.mp4")):
        write_path = folder / "videos" / name
        write_path.parent.mkdir(parents=True, exist_ok=True)
        write_path.touch()
        moving_store(folder / "store", name, step=(2, 1), frames=9, seed=seed,
                     told=lambda flow: times * flow)  # fmt: skip
    from stresnet.data.formats.write import export

    names, layout = ("run/a.mp4", "walk/b.mp4"), folder / "layout"
    if format == "denseflow":
        return write_denseflow(names, folder / "store", layout)
    export(names, folder / "store", layout, Layout(format))
    return layout


@pytest.mark.parametrize("format", ["authors", "denseflow"])
def test_import_recognises_the_layout(tmp_path, format):
    layout = exported(tmp_path, format)
    options = ("--out", tmp_path / "out", "--videos", tmp_path / "videos")
    result = stresnet("import", layout, *options)
    assert result.exit_code == 0
    assert f"2 videos in the layout {format}" in result.stderr
    assert "2 imported, 0 already there, 0 failed" in result.stderr
    assert "seem" not in result.stderr
    assert (tmp_path / "out" / "run" / "a.mp4.zip").exists()
    assert "0 imported, 2 already there" in stresnet("import", layout, *options).stderr
    (tmp_path / "videos" / "run" / "a.mp4").unlink()
    assert "1 have no video of their name" in stresnet("import", layout, *options).stderr


def test_import_doubts_a_wrong_bound(tmp_path):
    layout = exported(tmp_path, "denseflow")
    result = stresnet("import", layout, "--out", tmp_path / "out", "--bound", 32)
    assert result.exit_code == 1
    assert "2 imported" in result.stderr
    assert "2 of 2 videos (run/a, walk/b): the bound seems to be wrong" in result.stderr
    assert "about 20 px per frame, not 32" in result.stderr


def test_import_names_what_does_not_fit(tmp_path):
    layout = exported(tmp_path, "denseflow")
    (layout / "run" / "a" / "flow_x_00003.jpg").unlink()
    result = stresnet("import", layout, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "failed: run/a: run/a: 9 frames" in result.stderr
    assert stresnet("import", tmp_path / "none").exit_code == 2


def test_check_is_content_with_good_stores(tmp_path):
    for seed in range(2):
        moving_store(tmp_path, f"{seed}.mp4", frames=9, seed=seed)
    result = stresnet("check", tmp_path)
    assert result.exit_code == 0
    assert "2 prepared videos: all intact, and nothing odd about their flow" in result.stderr


def test_check_writes_the_index_again(tmp_path):
    """What is damaged is not in it; what it knew of the videos stays."""
    for seed in range(3):
        moving_store(tmp_path, f"run/{seed}.mp4", frames=9, seed=seed)
    looks = [Look.of(store_path(tmp_path, f"run/{seed}.mp4")) for seed in range(3)]
    found = Indexed("sha256 0", "0", PREPARATION, source=Look(1, 2, 3, 4), store=looks[0])
    add_to_index(tmp_path, {"run/0.mp4": found, "run/gone.mp4": found}, part="index-1-of-2.sqlite")
    store_path(tmp_path, "run/2.mp4").write_bytes(b"no store")
    assert stresnet("check", tmp_path, "--index").exit_code == 1
    rows = dict(read_index(tmp_path))
    assert {name: (row.source, row.store) for name, row in rows.items()} == {
        "run/0.mp4": (Look(1, 2, 3, 4), looks[0]),
        "run/1.mp4": (None, looks[1]),
    }
    assert rows["run/1.mp4"].seal == StoredVideo(store_path(tmp_path, "run/1.mp4")).seal
    assert [path.name for path in tmp_path.glob("index*")] == ["index.sqlite"]
    assert "--index" in stresnet("check", store_path(tmp_path, "run/1.mp4"), "--index").stderr


def test_pack_says_what_it_did(tmp_path):
    moving_store(tmp_path / "store", "run/0.mp4")
    for told in ("1 packed, 0 already there", "0 packed, 1 already there"):
        result = stresnet("pack", tmp_path / "store", "--out", tmp_path / "shards")
        assert result.exit_code == 0
        assert told in result.stderr
    result = stresnet("check", tmp_path / "shards")
    assert "1 prepared videos: all intact" in result.stderr
    assert stresnet("check", tmp_path / "shards", "--index").exit_code == 2


def test_check_names_damages(tmp_path):
    for seed in range(4):
        moving_store(
            tmp_path, f"{seed}.mp4", step=(4, 2), frames=9, seed=seed, told=lambda flow: -flow
        )
    (tmp_path / "4.mp4.zip").write_bytes(encode_grey(np.zeros((8, 8), np.uint8)))
    result = stresnet("check", tmp_path)
    assert result.exit_code == 1
    assert "4 of 5 videos (0.mp4, 1.mp4, 2.mp4, ...): the flow seems" in result.stderr
    assert "failed: 4.mp4" in result.stderr
    assert stresnet("check", tmp_path / "none").exit_code == 2


# --- flow ---------------------------------------------------------------------------------------


def test_flow_to_look_at(videos, tmp_path):
    view, flo = tmp_path / "view.mp4", tmp_path / "flo"
    result = stresnet("flow", videos / "run" / "a.mp4", "--view", view, "--flo", flo)
    assert result.exit_code == 0
    assert result.stderr.count("2 flow fields: ") == 2
    assert view.exists()
    assert len(list(flo.iterdir())) == 2
    nothing = stresnet("flow", videos / "run" / "a.mp4")
    assert nothing.exit_code == 2
    assert "--view FILE.mp4" in nothing.stderr


def test_help_does_not_wait_for_numpy_or_torch():
    code = "import sys, stresnet.cli; print({'torch', 'numpy', 'av'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "set()\n"
