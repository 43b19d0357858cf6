"""What is wrong is found before hours of preparation; what a run is known by."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from making_stores import PREPARATION, write_store
from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.format import Origin
from stresnet.data.store.location import store_path
from stresnet.errors import DatasetError, EnvironmentProblem, UsageError, WeightsError
from stresnet.training import run as run_module
from stresnet.training.initialisation import RESNET50
from stresnet.training.plan import TrainingPlan, plan, require_trainable
from stresnet.training.recipes import QUICK, QUICK_LARGE
from stresnet.training.run import common_preparation, train
from stresnet.training.run_folder import write_run
from tiny_data import CLASSES, toy_video


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder per class, of files that nobody gets to open."""
    root = tmp_path / "clips"
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(3):
            (root / label / f"{number}.mp4").write_text(f"{label} {number}")
    return root


@pytest.fixture
def nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("videos were prepared first")

    monkeypatch.setattr(run_module, "ensure_prepared", fail)


@pytest.mark.usefixtures("nothing_is_prepared")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": "resnet50.safetensorz"}, WeightsError, "no such file"),
        ({"motion_weights": "nowhere.pth"}, WeightsError, "no such file"),
        (
            {"recipe": replace(QUICK, depth=101), "weights": str(RESNET50)},
            WeightsError,
            "fit",
        ),
        ({"recipe": replace(QUICK, depth=101)}, UsageError, r"ResNet-101 .* --weights none"),
        ({"phases": ["st_resnet"]}, UsageError, "two_stream, which does not exist"),
        ({"phases": ()}, UsageError, "no phase"),
        ({"phases": ["moton"]}, UsageError, "'moton'"),
        ({"seed": -1}, UsageError, "the seed is -1"),
    ],
)
def test_what_is_wrong_is_found_before_videos_are_prepared(
    data: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(data, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("nothing_is_prepared")
def test_a_folder_that_cannot_be_written_is_found_first(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        train(data, tmp_path / "file" / "run")


def test_more_processes_than_groups_are_refused_first(data: Path) -> None:
    with pytest.raises(UsageError, match="at most 1 processes"):
        planned(data, world_size=2)


def test_random_filters_are_trained_on_request(data: Path, tmp_path: Path) -> None:
    job = planned(data, recipe=QUICK_LARGE, weights="none", phases=["motion"])
    assert require_trainable(job, tmp_path)
    assert set(job.weights.values()) == {"none"}


def planned(data: Path, **changes: Any) -> TrainingPlan:
    return plan(data, **{"phases": ["motion", "appearance"]} | changes)


def test_a_run_knows_its_first_weights_by_content(data: Path, tmp_path: Path) -> None:
    here, moved, other = (tmp_path / f"{name}.safetensors" for name in ("here", "moved", "other"))
    shutil.copy(RESNET50, here)
    shutil.copy(RESNET50, moved)
    tensors = load_file(here)
    save_file(tensors | {"conv1.weight": tensors["conv1.weight"] * 2}, other)
    out = tmp_path / "run"

    job = planned(data, weights=here)
    setup = require_trainable(job, out)
    out.mkdir()
    arguments = {"seed": 0, "data": "clips", "recipe": job.recipe.as_dict(), "execution": {}}
    write_run(out, setup, job.split, arguments)
    assert require_trainable(planned(data, weights=moved), out) == setup
    for changes in ({"weights": other}, {"weights": here, "motion_weights": other}):
        with pytest.raises(UsageError, match="first weights"):
            require_trainable(planned(data, **changes), out)


def test_a_network_records_how_its_videos_were_prepared(tmp_path: Path) -> None:
    def store(name: str, preparation: dict[str, Any]) -> VideoItem:
        path = store_path(tmp_path, name)
        origin = Origin(name, sha256="0" * 64)
        write_store(path, *toy_video("falls", 0), origin=origin, preparation=preparation)
        return VideoItem(tmp_path / name, "falls", name)

    ours = json.loads(json.dumps(dict(PREPARATION)))
    first, second = store("a.mp4", ours), store("b.mp4", ours)
    imported = store("c.mp4", ours | {"imported_from": "denseflow"})
    prepared = PreparedVideos((first, second, imported), tmp_path, {})
    assert common_preparation([first, second], prepared) == ours
    assert common_preparation([imported], prepared)["imported_from"] == "denseflow"
    with pytest.raises(DatasetError, match=r"a\.mp4 and c\.mp4 differ in imported_from"):
        common_preparation([first, second, imported], prepared)


def test_the_check_leaves_torch_s_random_state(data: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    require_trainable(planned(data), tmp_path)
    assert torch.equal(before, torch.get_rng_state())
