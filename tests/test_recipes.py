"""The recipes are what their sources say."""

import json
from dataclasses import replace

import pytest

from stresnet.errors import UsageError
from stresnet.training.recipes import MODERN, PAPER, PHASES, QUICK, RECIPES, Recipe, recipe_named


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
    assert recipe_named(recipe.name) is recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_a_recipe_of_before_there_were_ingredients_can_still_be_read() -> None:
    """Run folders hold such."""
    old = PAPER.as_dict()
    del old["label_smoothing"], old["motion_residual"]
    for phase in old["phases"]:
        del phase["average"], phase["mixup"], phase["shared_tau"]
    assert Recipe.from_dict(old) == PAPER


def test_the_paper_has_no_ingredients_of_later_years() -> None:
    for recipe in (PAPER, QUICK, recipe_named("released-code")):
        assert recipe.label_smoothing == 0
        for phase in recipe.phases:
            assert (phase.average, phase.mixup, phase.cutmix) == (0, 0, 0)
            assert (phase.colour_jitter, phase.flow_jitter) == (0, 0)


def test_modern_is_quick_with_averaged_weights() -> None:
    assert all(phase.average > 0 for phase in MODERN.phases)
    assert replace(MODERN.with_phases(average=0.0), name="quick") == QUICK


def test_fields_of_some_or_all_phases_can_be_changed() -> None:
    changed = QUICK.with_phases("motion", "st_resnet", mixup=0.2)
    assert [p.mixup for p in changed.phases] == [0.2, 0, 0.2, 0]
    assert changed.with_phases(mixup=0.0) == QUICK
    with pytest.raises(UsageError, match="nonsense"):
        QUICK.with_phases("nonsense", mixup=0.2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("average", 1.0),
        ("mixup", -0.1),
        ("cutmix", -1),
        ("colour_jitter", 1.0),
        ("flow_jitter", -0.5),
    ],
)
def test_values_that_make_no_sense_are_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{field} is {value}, expected"):
        QUICK.with_phases(**{field: value})
    with pytest.raises(UsageError, match="label_smoothing is 1"):
        replace(QUICK, label_smoothing=1)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="paper"):
        recipe_named("nonsense")
    with pytest.raises(UsageError, match="motion, appearance"):
        PAPER.phase("nonsense")
