"""What a network has learned of a class, and `stresnet explain` on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.errors import UsageError
from stresnet.explanation import activation_maximisation as ascent
from stresnet.explanation import maximise
from stresnet.explanation.activation_maximisation import smoothed, write_class_pictures
from test_explain import random_network, telling_network


def variation(x: np.ndarray, axis: int) -> float:
    """Mean size of a step along an axis, in standard deviations."""
    return float(np.abs(np.diff(x, axis=axis)).mean() / x.std())


@pytest.mark.parametrize("temporal_pool", [None, "pool5"])
def test_the_picture_has_what_the_network_likes(temporal_pool):
    """That network likes red, and downward flow, at every 32nd pixel."""
    likes = maximise(telling_network(temporal_pool), "there", steps=15)
    assert likes.rgb.shape == (32, 32, 3)
    assert likes.flow.shape == (10, 2, 32, 32)
    assert likes.margin > likes.start + 10
    liked = np.unravel_index(likes.flow[:, 1].mean(0).argmax(), (32, 32))
    red, green, blue = likes.rgb[liked].astype(int)
    assert red > 150 > max(green, blue)
    downward = likes.flow[:, 1].mean(0)[liked]
    assert downward > 2
    assert abs(likes.flow[:, 0].mean(0)[liked]) < downward / 4


def test_the_seed_decides_and_the_network_stays_as_it_was():
    net = random_network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    first, again = (maximise(net, "a", steps=3, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.flow, again.flow)
    assert not np.array_equal(first.rgb, maximise(net, "a", steps=3, seed=2).rgb)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training


def test_weights_of_smoothness_smooth():
    net = random_network()
    rough = maximise(net, "a", steps=6, spatial=0, temporal=0)
    even = maximise(net, "a", steps=6, spatial=50, temporal=0)
    steady = maximise(net, "a", steps=6, spatial=0, temporal=100)
    assert variation(even.rgb.astype(float), 1) < 0.5 * variation(rough.rgb.astype(float), 1)
    assert variation(even.flow, -1) < 0.5 * variation(rough.flow, -1)
    assert variation(steady.flow, 0) < 0.3 * variation(rough.flow, 0)


def test_smoothing_solves_its_equation():
    x = torch.randn(4, 2, 5, 6, generator=torch.Generator().manual_seed(0))

    def second(axis: int) -> torch.Tensor:
        return x.roll(1, axis) - 2 * x + x.roll(-1, axis)

    gradient = x - 3 * (second(-2) + second(-1)) - 7 * second(0)
    torch.testing.assert_close(smoothed(gradient, 3, 7), x, rtol=1e-4, atol=1e-4)


def test_arguments_of_the_ascent(tmp_path):
    net = random_network()
    for said, wrong in (
        ("has no class 'd'", {"label": "d"}),
        ("spatial is -1", {"label": "a", "spatial": -1}),
        ("temporal is nan", {"label": "a", "temporal": float("nan")}),
        ("seed is -1", {"label": "a", "seed": -1}),
        ("0 steps", {"label": "a", "steps": 0}),
    ):
        with pytest.raises(UsageError, match=said):
            maximise(net, **wrong)


# --- the command line -----------------------------------------------------------------------------


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
    numbers = json.loads((out / "explanation.json").read_text(encoding="utf-8"))
    assert (numbers["label"], numbers["source"]) == ("b", str(video))


def test_the_verb_draws_a_class(tmp_path, model, monkeypatch):
    monkeypatch.setattr(ascent, "STEPS", 2)
    out = tmp_path / "learned"
    code, said = run(model, "--maximise", "a", "--seed", 4, "--out", out)
    assert code == 0, said
    numbers = json.loads((out / "class.json").read_text(encoding="utf-8"))
    assert [row["temporal"] for row in numbers] == [0, 100]
    assert {(row["label"], row["seed"], row["spatial"]) for row in numbers} == {("a", 4, 10)}
    assert (out / "class.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_the_verb_names_its_faults(tmp_path, model):
    for arguments in ((), (tmp_path / "clip.mp4", "--maximise", "a")):
        code, said = run(model, *arguments)
        assert code == 2
        assert "either a video or --maximise" in said
    code, said = run(model, "--maximise", "nothing")
    assert code == 2
    assert "choose from: a, b, c" in said
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    assert run(model, bad)[0] == 1


def test_still_pictures_can_be_written(tmp_path):
    picture = maximise(random_network(), "a", steps=1)
    picture.flow[:] = 0
    write_class_pictures([picture], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"class.jpg", "class.json"}
