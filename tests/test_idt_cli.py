"""`stresnet idt`: from videos to scores, and what a person reads on the way."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("cv2")
pytest.importorskip("sklearn")

from making_stores import moved, without_processes
from making_videos import write_video
from stresnet.cli import app
from stresnet.evaluation.score_files import read_scores


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    without_processes(monkeypatch)


def stresnet(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def videos(tmp_path):
    """A block goes to the side or up and down over a still background; the last one rests."""
    folder = tmp_path / "videos"
    steps = np.arange(18)
    for label, step in (("side", (3, 0)), ("up", (0, 3))):
        for number in range(3):
            frames = np.repeat(moved(np.zeros((1, 2), int), 64, 96, seed=number), 18, axis=0)
            block = moved(np.outer(steps, step), 40, 56, seed=10 + number)
            if number < 2 or label == "side":
                frames[:, 12:52, 20:76] = block
            path = folder / ("train" if number < 2 else "test") / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, frames)
    return folder


def test_from_videos_to_scores(videos, tmp_path):
    features, encoded = tmp_path / "features", tmp_path / "encoded"
    extracted = stresnet("idt", "extract", videos, "--out", features, "--short-side", 64)
    assert extracted.exit_code == 0, extracted.stderr
    assert "6 extracted, 0 already there, 0 failed" in extracted.stderr
    assert "warning: test/up/2.mp4: without any trajectory, too short or still" in extracted.stderr
    done = stresnet(
        "idt", "encode", features, videos, "--out", encoded, "--gaussians", 2, "--samples", 500
    )
    assert done.exit_code == 0, done.stderr
    assert "drawing trajectories from 4 training videos" in done.stderr
    assert "learning 2 Gaussians of mbh" in done.stderr
    assert f"train with: stresnet idt train {encoded}" in done.stderr
    trained = stresnet("idt", "train", encoded)
    assert "2 classes" in trained.stderr
    tested = stresnet("idt", "evaluate", encoded)
    assert tested.exit_code == 0 and "accuracy" in tested.stdout
    table = read_scores(encoded / "scores.npz")
    assert table.names == ("test/side/2.mp4", "test/up/2.mp4")
    assert table.class_names == ("side", "up")
    assert table.scores[0].argmax() == 0
    stresnet("idt", "evaluate", encoded, "--out", tmp_path / "idt.csv")
    np.testing.assert_allclose(read_scores(tmp_path / "idt.csv").scores, table.scores)


def test_a_text_that_is_called_a_video_fails_alone(tmp_path):
    (tmp_path / "bad.avi").write_text("no video")
    result = stresnet("idt", "extract", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "failed: bad.avi" in result.stderr
    assert "bad.avi" in (tmp_path / "out" / "failures.csv").read_text()


def test_stages_left_out_are_named(videos, tmp_path):
    nothing = stresnet("idt", "encode", tmp_path / "none", videos, "--out", tmp_path / "encoded")
    assert nothing.exit_code == 2
    assert "0 trajectories in the training videos" in nothing.stderr
    assert stresnet("idt", "train", tmp_path).exit_code == 2
    unknown = stresnet("idt", "encode", tmp_path, videos, "--descriptors", "surf")
    assert "descriptors surf; expected some of trajectory, hog, hof, mbh" in unknown.stderr


@pytest.mark.parametrize(("missing", "verb"), [("cv2", "extract"), ("sklearn", "train")])
def test_a_missing_extra_ends_in_the_pip_command(missing, verb, tmp_path):
    code = f"""
import sys
sys.modules[{missing!r}] = None
from pathlib import Path
from stresnet.errors import EnvironmentProblem
try:
    if {verb!r} == "extract":
        from stresnet.idt.extract import extract
    else:
        from stresnet.idt.libraries import optional
        optional("sklearn.svm")
except EnvironmentProblem as error:
    print(error.remedy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'stresnet[idt]'\n"


def test_help_imports_no_optional_package():
    code = "import sys, stresnet.cli; print(sorted({'cv2', 'sklearn', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
