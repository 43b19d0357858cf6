"""Real files, the whole way: folder of clips -> training -> evaluation -> prediction."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.data.datasets import open_dataset
from stresnet.data.prepare import store_path
from stresnet.data.store import StoredVideo
from stresnet.data.video import read_video
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.model import load_model
from stresnet.prediction import predict
from stresnet.training.recipes import PHASES, QUICK, Recipe
from stresnet.training.run import train


def toy_recipe() -> Recipe:
    """Every phase of `quick`, one iteration at each rate, on crops of 32 px."""
    phases = tuple(
        replace(phase, batch=2, norm_group=2, schedule=((1e-2, 1), (1e-3, 1)))
        for phase in QUICK.phases
    )
    return replace(QUICK, input_size=32, phases=phases)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class: a texture that moves left or right, six clips each."""
    root = tmp_path_factory.mktemp("clips")
    for label, step in (("left", -2), ("right", 2)):
        (root / label).mkdir()
        for number in range(6):
            frames = moving_texture(13, 48, 64, step=(step, 0), seed=number)
            write_video(root / label / f"{number}.mp4", frames)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of all four phases."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    model = train(data, out, recipe=toy_recipe(), workers=0, precision="32-true")
    assert model == out / "st_resnet_star"
    return out


def test_one_command_trains_every_phase(run: Path) -> None:
    assert all((run / f"{phase}.checkpoint.safetensors").exists() for phase in PHASES)
    for name in ("two_stream", "st_resnet", "st_resnet_star"):
        net = load_model(run / name)
        assert net.class_names == ("left", "right")
    assert net.config["temporal_pool"] == "pool5"
    with (run / "log.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == [
            phase for phase in PHASES for _ in range(2)
        ]
    assert json.loads((run / "run.json").read_text())["seed"] == 0


def test_the_same_call_again_changes_nothing(data: Path, run: Path) -> None:
    path = run / "st_resnet_star" / "model.safetensors"
    before = path.read_bytes()
    train(data, run, recipe=toy_recipe(), workers=0, precision="32-true")
    assert path.read_bytes() == before


def test_a_run_s_folder_keeps_to_its_options(data: Path, run: Path) -> None:
    with pytest.raises(UsageError, match="another recipe, seed, split or data"):
        train(data, run, recipe=toy_recipe(), seed=1, workers=0)


def test_a_phase_needs_the_one_before(data: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"starts from .*two_stream"):
        train(
            data,
            tmp_path / "run",
            recipe=toy_recipe(),
            store=run.parent / "store",
            phases=["st_resnet"],
            workers=0,
        )


def test_training_and_test_videos_are_apart(run: Path) -> None:
    with (run / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    sides = {
        side: {row["name"] for row in rows if row["split"] == side} for side in ("train", "test")
    }
    assert len(sides["train"]) + len(sides["test"]) == 12
    assert not sides["train"] & sides["test"]
    assert sides["test"]


def test_prediction_and_evaluation_agree_bit_for_bit(data: Path, run: Path) -> None:
    """Same preparation, same protocol: from the file, from an array, from the store."""
    net = load_model(run / "st_resnet_star")
    report = evaluate(net, data, store=run.parent / "store")
    item = open_dataset(data).test[0]
    stored = score_video(net, StoredVideo(store_path(run.parent / "store", item.name)))
    place = report.names.index(item.name)
    np.testing.assert_array_equal(report.scores["fused"][place], stored.fused)

    from_file = predict(net, item.path)
    from_array = predict(net, read_video(item.path).frames)
    assert from_file.predictions == from_array.predictions
    probabilities = torch.from_numpy(stored.fused).double().softmax(0)
    by_label = dict(zip(net.class_names, probabilities.tolist(), strict=True))
    assert {entry.label: entry.score for entry in from_file.predictions} == pytest.approx(by_label)
    scores = [entry.score for entry in from_file.predictions]
    assert scores == sorted(scores, reverse=True)


def test_a_report_is_written_and_read_back(data: Path, run: Path, tmp_path: Path) -> None:
    report = evaluate(run / "st_resnet", data, store=run.parent / "store")
    report.save(tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as scores:
        right = (scores["fused"].argmax(1) == scores["truth"]).mean()
    assert written["rows"]["fused"]["top1"] == right == report.accuracy()
    assert set(written["rows"]) == {"appearance", "motion", "fused"}


def test_evaluation_refuses_classes_the_model_does_not_know(run: Path, tmp_path: Path) -> None:
    for label in ("left", "up"):
        (tmp_path / label).mkdir()
        for number in range(2):
            write_video(tmp_path / label / f"{number}.mp4", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"up.*left, right"):
        evaluate(run / "st_resnet", tmp_path, store=tmp_path / "store")


def test_the_command_line_predicts(data: Path, run: Path, tmp_path: Path) -> None:
    video = data / "left" / "0.mp4"
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    model = str(run / "st_resnet_star")

    table = CliRunner().invoke(app, ["predict", model, str(video)])
    assert table.exit_code == 0
    assert "left" in table.stdout
    assert "right" in table.stdout

    both = CliRunner().invoke(app, ["predict", model, str(broken), str(video), "--json"])
    assert both.exit_code == 1
    assert "broken.mp4" in both.stderr
    (prediction,) = json.loads(both.stdout)
    assert prediction["source"] == str(video)
    assert {entry["label"] for entry in prediction["predictions"]} == {"left", "right"}

    nothing = CliRunner().invoke(app, ["predict", str(tmp_path), str(video)])
    assert nothing.exit_code == 2
    assert "error:" in nothing.stderr


def test_the_command_line_prepares_and_evaluates(data: Path, run: Path, tmp_path: Path) -> None:
    prepared = CliRunner().invoke(app, ["prepare", str(data), "--out", str(run.parent / "store")])
    assert prepared.exit_code == 0
    assert "12 already there" in prepared.stderr

    options = ["--store", str(run.parent / "store"), "--out", str(tmp_path), "--bf16"]
    evaluated = CliRunner().invoke(app, ["evaluate", str(run / "two_stream"), str(data), *options])
    assert evaluated.exit_code == 0
    assert "motion" in evaluated.stdout
    assert (tmp_path / "report.json").exists()


def test_the_command_line_trains(data: Path, run: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["train", str(data), "--depth", "7"])
    assert refused.exit_code == 2
    assert "26, 50, 101, 152, tiny" in refused.stderr
    refused = CliRunner().invoke(app, ["train", str(data), "--recipe", "nonsense"])
    assert refused.exit_code == 2
    assert "quick" in refused.stderr
