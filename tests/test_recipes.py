"""The recipes are what their sources say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stresnet.errors import UsageError
from stresnet.training.recipe import PHASES, Recipe
from stresnet.training.recipes import PAPER, QUICK, RECIPES, recipe_as_toml, recipe_named


def test_the_paper_s_table_2() -> None:
    assert [(p.batch, p.norm_group, p.chunks) for p in PAPER.phases] == [
        (256, 86, 1),
        (256, 8, 1),
        (128, 4, 5),
        (128, 4, 11),
    ]
    assert [p.iterations for p in PAPER.phases] == [40_000, 20_000, 80_000, 4_000]
    assert [p.tau for p in PAPER.phases[2:]] == [(5, 15), (1, 15)]
    assert PAPER.depth == 50
    assert PAPER.input_size == 224


def test_the_quick_recipes_differ_in_size_and_in_the_appearance_phase() -> None:
    quick = {name.removeprefix("quick"): each for name, each in RECIPES.items() if "quick" in name}
    assert {
        name: (each.depth, each.input_size, each.short_side) for name, each in quick.items()
    } == {
        "": (50, 112, 128),
        "-small": ("small", 112, 128),
        "-large": (50, 224, 256),
    }
    phases = {name: each.phase("appearance").for_videos(353) for name, each in quick.items()}
    assert {name: (each.schedule, each.unit) for name, each in phases.items()} == {
        "": (((1e-3, 60),), "iterations"),
        "-small": (((3e-3, 176),), "iterations"),
        "-large": (((3e-3, 176),), "iterations"),
    }
    for each in quick.values():
        assert (
            replace(
                each,
                **{
                    name: getattr(QUICK, name)
                    for name in ("name", "depth", "input_size", "short_side")
                },
            ).with_phases("appearance", schedule=((1e-3, 2),), unit="epochs")
            == QUICK
        )


def test_the_learning_rate_follows_the_schedule() -> None:
    phase = PAPER.phase("st_resnet")
    assert phase.learning_rate(0) == 1e-3
    assert phase.learning_rate(29_999) == 1e-3
    assert phase.learning_rate(30_000) == 1e-4
    assert phase.learning_rate(79_999) == 1e-5


def test_a_cosine_rises_to_each_rate_and_falls_towards_zero() -> None:
    phase = replace(PAPER.phases[0], schedule=((1.0, 100), (0.1, 50)), cosine=True)
    rates = [phase.learning_rate(iteration) for iteration in range(150)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:100] == sorted(rates[9:100], reverse=True)
    assert max(rates[:100]) == pytest.approx(1.0, abs=0.05)
    assert max(rates[100:]) == pytest.approx(0.1, abs=0.005)
    assert 0 < min(rates) < 0.001


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_has_all_phases_in_order(recipe) -> None:
    assert tuple(phase.name for phase in recipe.phases) == PHASES
    assert recipe_named(recipe.name) == recipe == recipe_named(recipe)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_recipe_with_fewer_fields_can_still_be_read() -> None:
    """Run folders hold such."""
    old = PAPER.as_dict()
    del old["motion_residual"]
    for phase in old["phases"]:
        del phase["shared_tau"]
    assert Recipe.from_dict(old) == PAPER


def test_a_recipe_of_another_version_is_refused() -> None:
    other = QUICK.as_dict()
    other["phases"][0]["mixup"] = 0.2
    with pytest.raises(UsageError, match=r"cannot be read.*mixup"):
        Recipe.from_dict(other)


def test_fields_of_some_or_all_phases_can_be_changed() -> None:
    changed = QUICK.with_phases("motion", "st_resnet", dropout=0.7)
    assert [p.dropout for p in changed.phases] == [0.7, 0.5, 0.7, 0.5]
    with pytest.raises(UsageError, match="nonsense"):
        QUICK.with_phases("nonsense", dropout=0.7)  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="paper"):
        recipe_named("nonsense")
    with pytest.raises(UsageError, match="motion, appearance"):
        PAPER.phase("nonsense")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_survives_a_file(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_as_toml(recipe), encoding="utf-8")
    assert recipe_named(str(path)) == recipe


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ("depth = 50", "depth = 27", "depth of paper is 27, expected one of 26, 50"),
        ("batch = 256", "batch = 0", "batch of motion is 0, expected a whole number from 1"),
        ("momentum = 0.9", 'momentum = "much"', "momentum of paper is 'much', expected a number"),
        ("joint_softmax = false", "joint_softmax = 0", "expected true or false"),
        ("[[0.01, 30000], ", "[[0, 30000], ", "schedule of motion"),
        ("[[0.01, 30000], [0.001, 10000]]", "[0.01, 30000]", "cannot be read"),
        ("tau = [1, 1]", "tau = [2, 1]", "tau of motion"),
        ("blend = 1.0", "blend = 0.5", "blend of motion is 0.5, expected from 0 to 1"),
        ("momentum", "momentun", "momentun"),
        ("[[phases]]", "[[phase]]", "phases"),
        ('name = "paper"', "name = ", "is not TOML"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(
    written: str, instead: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_as_toml(PAPER).replace(written, instead), encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine.toml: .*--print-recipe") as refused:
        recipe_named(str(path))
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": ((1e-3, 1.5),)}, "finite rates and whole iterations"),
        ({"schedule": ((float("inf"), 5),)}, "finite rates and whole iterations"),
        ({"batch": 2.0}, "expected a whole number"),
        ({"tau": (2.5, 4)}, "tau of"),
        ({"chunks": 3}, "at least 5"),
        ({"dropout": float("nan")}, "expected a number"),
    ],
)
def test_values_that_would_fail_after_hours_are_refused_now(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        replace(PAPER.phase("st_resnet_star"), **change)


def test_a_recipe_names_what_it_has() -> None:
    with pytest.raises(UsageError, match=r"expected one of 'appearance', .* None"):
        replace(PAPER, motion_residual="bidirectonal")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="each once"):
        replace(PAPER, phases=(*PAPER.phases, PAPER.phase("motion")))
    with pytest.raises(UsageError, match="no phase 'st_resnet'; its phases: motion, appearance"):
        replace(PAPER, phases=PAPER.phases[:2]).phase("st_resnet")


def test_streams_that_are_not_connected_survive_a_file(tmp_path: Path) -> None:
    """TOML has no null."""
    path = tmp_path / "apart.toml"
    path.write_text(recipe_as_toml(replace(QUICK, motion_residual=None)))
    assert recipe_named(str(path)).motion_residual is None


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"nowhere.toml: cannot be read"):
        recipe_named("nowhere.toml")
