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
    options = ("--out", encoded, "--gaussians", 2, "--samples", 500)
    done = stresnet("idt", "evaluate", features, videos, *options)
    assert done.exit_code == 0, done.stderr
    assert "drawing trajectories from 4 training videos" in done.stderr
    assert "learning 2 Gaussians of mbh" in done.stderr
    assert "accuracy" in done.stdout
    table = read_scores(encoded / "scores.npz")
    assert table.names == ("test/side/2.mp4", "test/up/2.mp4")
    assert table.class_names == ("side", "up")
    assert table.scores[0].argmax() == 0
    (features / "test" / "up" / "2.mp4.npz").unlink()
    again = stresnet("idt", "evaluate", features, videos, *options)
    assert again.exit_code == 1 and "failed: test/up/2.mp4" in again.stderr
    assert "learning" not in again.stderr
    np.testing.assert_array_equal(read_scores(encoded / "scores.npz").scores, table.scores[:1])


def test_a_text_that_is_called_a_video_fails_alone(tmp_path):
    (tmp_path / "bad.avi").write_text("no video")
    result = stresnet("idt", "extract", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "failed: bad.avi" in result.stderr
    assert "bad.avi" in (tmp_path / "out" / "failures.csv").read_text()


def test_what_is_missing_is_named(videos, tmp_path):
    nothing = stresnet("idt", "evaluate", tmp_path / "none", videos, "--out", tmp_path / "encoded")
    assert nothing.exit_code == 2
    assert "0 trajectories in the training videos" in nothing.stderr
    out = ("--out", tmp_path / "encoded")
    unknown = stresnet("idt", "evaluate", tmp_path, videos, "--descriptors", "surf", *out)
    assert "descriptors surf; expected some of trajectory, hog, hof, mbh" in unknown.stderr


@pytest.mark.parametrize(("missing", "verb"), [("cv2", "extract"), ("sklearn", "evaluate")])
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
        from stresnet.idt.layout import optional
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
