"""Pictures of another tool, without the videos they came from: import -> train -> evaluate."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from making_stores import moving_store, without_processes, write_denseflow
from stresnet.cli import app
from stresnet.data.formats.read import find_pictures, import_pictures
from stresnet.data.prepare.many import prepare
from stresnet.errors import DatasetError
from stresnet.evaluation.evaluate import evaluate
from stresnet.model import load_model
from stresnet.training.recipes import QUICK
from stresnet.training.run import train
from stresnet.training.runtime import Execution

IN_PROCESS = Execution("cpu", "fp32", workers=0)
STEPS = {"left": (-3, 0), "right": (3, 0)}
RECIPE = replace(
    QUICK,
    depth="tiny",
    input_size=32,
    phases=tuple(
        replace(phase, batch=2, norm_group=2, unit="iterations", schedule=((1e-3, 1),))
        for phase in QUICK.phases
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list, and an imported store: LABEL/NUMBER.zip, 3 a class, the last one for testing."""
    root = tmp_path_factory.mktemp("imported")
    names = [f"{label}/{number}.mp4" for label in STEPS for number in range(3)]
    for seed, name in enumerate(names):
        moving_store(root / "made", name, step=STEPS[name.partition("/")[0]], seed=seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_processes(monkeypatch)
        write_denseflow(names, root / "made", root / "pictures")
        import_pictures(find_pictures(root / "pictures"), root / "store")
    with (root / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for name in names:
            label, number = name.removesuffix(".mp4").split("/")
            writer.writerow((f"{label}/{number}", label, "test" if number == "2" else "train"))
    return root


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


def test_imported_videos_are_trained_and_evaluated(world: Path) -> None:
    train(world / "list.csv", world / "run", recipe=RECIPE, store=world / "store",
          phases=["motion", "appearance", "st_resnet"], execution=IN_PROCESS)  # fmt: skip
    for network in ("two_stream", "st_resnet"):
        report = evaluate(world / "run" / network, world / "list.csv", store=world / "store")
        assert report.main.names == ("left/2", "right/2")
        assert load_model(world / "run" / network).preparation["imported_from"] == "denseflow"


def test_options_of_the_command_line_reach_training(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def train(*_: object, **options: object) -> Path:
        given.update(options)
        return Path("runs/data/st_resnet_star")

    monkeypatch.setattr("stresnet.training.run.train", train)
    for words, expected in (
        ([], {"execution": Execution(), "motion_weights": None}),
        (
            ["--compile", "--motion-weights", "ucf101"],
            {"execution": Execution(compiled=True), "motion_weights": "ucf101"},
        ),
        (
            ["--no-channels-last", "--recompute"],
            {"execution": Execution(channels_last=False, recompute=True)},
        ),
    ):
        assert CliRunner().invoke(app, ["train", "data", *words]).exit_code == 0
        assert {name: given[name] for name in expected} == expected


def test_a_prepared_video_needs_no_file_any_more(world: Path, tmp_path: Path) -> None:
    """One of ours too, whose preparation is then taken at its word; without either it is named."""
    gone = [(tmp_path / name, name) for name in ("left/0.mp4", "left/nowhere.mp4")]
    report = prepare(gone, world / "made")
    assert report.skipped == ("left/0.mp4",)
    assert [name for name, _ in report.failures] == ["left/nowhere.mp4"]
    with pytest.raises(DatasetError, match=r"missing videos \(6\)"):
        train(world / "list.csv", tmp_path / "run", recipe=RECIPE, store=tmp_path)
