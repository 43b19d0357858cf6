"""`stresnet explain` on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from making_videos import moving_texture, write_video
from stresnet.cli import app
from test_explain import random_network


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    net = random_network()
    net.save_pretrained(folder, class_names=net.class_names, preparation={}, card="toy")
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_verb_explains_a_video(tmp_path, model):
    video = write_video(tmp_path / "clip.mp4", moving_texture(4, 64, 80))
    out = tmp_path / "why"
    code, said = run(model, video, "--class", "b", "--intervals", 0, "--out", out)
    assert code == 0, said
    assert "index.html" in said and "motion" in said
    with np.load(out / "explanation.npz", allow_pickle=False) as numbers:
        assert (str(numbers["label"]), numbers["edges"].tolist()) == ("b", [0])
    assert str(video) in (out / "index.html").read_text(encoding="utf-8")


def test_the_verb_names_its_faults(tmp_path, model):
    code, said = run(model)
    assert code == 2 and "VIDEO" in said
    video = write_video(tmp_path / "clip.mp4", moving_texture(4, 64, 80))
    code, said = run(model, video, "--class", "nothing")
    assert code == 2
    assert "choose from: a, b, c" in said
    code, said = run(model, video, "--protocol", "ten-crop")
    assert code == 2 and "choose from: quick, paper" in said
    code, said = run(model, tmp_path)
    assert code == 2 and "directory" in said
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    assert run(model, bad)[0] == 1
