"""The ablation study trains what it says, once, and prints what was found."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stresnet.errors import UsageError
from stresnet.evaluation.comparison import ROWS, EvaluationResult
from stresnet.training.initialisation import network
from stresnet.training.recipe import Recipe
from stresnet.training.recipes import QUICK

SOURCE = Path(__file__).parent.parent / "benchmarks/ablations.py"


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("ablations", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablations"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ablations"]


def test_every_variant_changes_the_recipe_and_no_phase_that_is_not_trained_anew(
    study: ModuleType,
) -> None:
    for name, variant in study.ALL.items():
        changed: Recipe = variant.change(QUICK)
        assert (changed == QUICK) == (name == "the recipe"), name
        for before, after in zip(QUICK.phases, changed.phases, strict=True):
            assert before == after or before.name in study.JOINT, name


def test_the_paper_s_variants_reach_the_network(study: ModuleType) -> None:
    def config(name: str) -> dict[str, Any]:
        recipe = study.PAPER[name].change(QUICK)
        return network(recipe, recipe.phase("st_resnet_star"), 2).config

    assert config("direct")["motion_residual"] == "direct"
    assert config("not connected")["motion_residual"] is None
    assert config("no temporal convolutions")["temporal_convolutions"] is False
    assert config("average pool")["temporal_pool_kind"] == "average"
    assert config("pool after conv5")["temporal_pool"] == "conv5"


def test_a_seed_is_tested_on_what_it_kept_out(
    study: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []

    def tested(*_: Any, seed: int, **options: Any) -> SimpleNamespace:
        asked.append(seed)
        return SimpleNamespace(
            main=SimpleNamespace(results=[SimpleNamespace(accuracy=lambda: 0.5)])
        )

    monkeypatch.setattr(study, "evaluate", tested)
    monkeypatch.setattr(study, "train", lambda data, run, **_: run / "two_stream")
    one = study.Study(tmp_path, tmp_path, QUICK, None, None, tmp_path, phases=("st_resnet",))
    one.results("the recipe", study.ALL["direct"], 3)
    assert asked == [3, 3]


def recognised(right: int) -> SimpleNamespace:
    """What `evaluate` returns of ten videos of two classes, of which so many are recognised."""
    scores = np.eye(2, dtype=np.float32)[[int(number >= right) for number in range(10)]]
    result = EvaluationResult(
        ("a", "b"),
        tuple(map(str, range(10))),
        np.zeros(10, int),
        dict.fromkeys(ROWS, scores),
    )
    return SimpleNamespace(main=SimpleNamespace(results=(result,)))


def test_variants_of_the_joint_phases_share_their_streams(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    trained: list[tuple[str, tuple[str, ...], object]] = []

    def train(data: Path, run: Path, **options: Any) -> Path:
        trained.append((run.name, options["phases"], options["weights"]))
        return run / ("two_stream" if "st_resnet" not in options["phases"] else "st_resnet_star")

    def evaluate(model: Path, *_: object, out: Path, **__: object) -> SimpleNamespace:
        assert out == model.parent
        if model.parent.name.startswith("direct"):
            return recognised(8)
        return recognised(5 if model.parent.name.endswith("0") else 7)

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study, "evaluate", evaluate)
    monkeypatch.setattr(
        sys,
        "argv",
        ["", "data", str(tmp_path), "--seeds", "0,1", "--variants", "direct,groups of 2"],
    )
    study.main()
    joint = {name: weights for name, phases, weights in trained if phases == study.JOINT}
    assert joint["direct-1"] == joint["the-recipe-1"] == tmp_path / "two-stream-1/two_stream"
    header, rule, recipe, direct, groups = capsys.readouterr().out.splitlines()
    assert header.startswith("| variant | two-stream, appearance | ")
    assert header.endswith(" | ST-ResNet* over two-stream | over the recipe |")
    assert rule.count("---") == 12
    assert recipe == "| the recipe " + "| 60.0 ± 14.1 " * 9 + "| +0.0 (0.0 to 0.0) " * 2 + "|"
    assert direct.startswith("| direct | 60.0 ± 14.1 | ") and "| 80.0 ± 0.0 | +20.0 (" in direct
    assert groups == recipe.replace("the recipe", "groups of 2")


def test_folds_are_averaged_before_seeds(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folds: set[tuple[str, int]] = set()

    def train(data: Path, run: Path, *, fold: int, phases: Any, **_: Any) -> Path:
        folds.add((run.parent.name, fold))
        assert phases in (study.STREAMS, ("st_resnet",))
        return run / "two_stream"

    def evaluate(model: Path, *_: object, fold: int, protocols: str, **__: object) -> Any:
        assert protocols == "quick"
        return recognised(5 if fold == 1 else 7)

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study, "evaluate", evaluate)
    wanted = ["--folds", "1,3", "--seeds", "0,1", "--variants", "direct"]
    wanted += ["--phases", "st_resnet", "--protocol", "quick"]
    monkeypatch.setattr(sys, "argv", ["", "data", str(tmp_path), *wanted])
    study.main()
    assert folds == {("fold-1", 1), ("fold-3", 3)}
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("| direct " + "| 60.0 ± 0.0 " * 6 + "| +0.0 ")


def test_unknown_variants_are_refused(study: ModuleType) -> None:
    assert set(study.variants_named("paper")) == {"the recipe", *study.PAPER}
    with pytest.raises(UsageError, match="no variant 'nonsense'; there are the recipe, "):
        study.variants_named("direct,nonsense")
    assert study.cell([50.0]) == "50.0"
