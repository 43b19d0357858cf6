"""Training recipes: frozen values, each with its source. Their words: recipe.py."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from stresnet.errors import UsageError
from stresnet.model.stream import Depth
from stresnet.training.recipe import PHASES, Phase, PhaseName, Recipe

__all__ = [
    "PAPER",
    "PHASES",
    "QUICK",
    "QUICK_RESNET50",
    "RECIPES",
    "RELEASED_CODE",
    "Phase",
    "PhaseName",
    "Recipe",
    "read_recipe",
    "recipe_as_toml",
    "recipe_like",
    "recipe_named",
]

# --------------------------------------------------------------------------------------------
# The paper: Table 2 and section 3.4. Two streams of ResNet-50 from ImageNet, UCF101 split 1.
#   stresnet train UCF101 --recipe paper --weights RESNET50
# Cost: 30K + 10K + 20K + 80K + 4K iterations; not run here. Expected: 93.5 % (mean of 3 splits).
# Weight decay is not in the paper; 5e-4 is the authors' code.
# --------------------------------------------------------------------------------------------
PAPER = Recipe(
    name="paper",
    depth=50,
    input_size=224,
    chunk_loss="sum",
    phases=(
        Phase(
            name="motion",
            schedule=((1e-2, 30_000), (1e-3, 10_000)),
            batch=256,
            norm_group=86,
            chunks=1,
            tau=(1, 1),
            crop="corners",
        ),
        Phase(
            name="appearance",
            schedule=((1e-2, 10_000), (1e-3, 10_000)),
            batch=256,
            norm_group=8,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
        ),
        Phase(
            name="st_resnet",
            schedule=((1e-3, 30_000), (1e-4, 30_000), (1e-5, 20_000)),
            batch=128,
            norm_group=4,
            chunks=5,
            tau=(5, 15),
            crop="scale-jitter",
        ),
        Phase(
            name="st_resnet_star",
            schedule=((1e-4, 2_000), (1e-5, 2_000)),
            batch=128,
            norm_group=4,
            chunks=11,
            tau=(1, 15),
            crop="scale-jitter",
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# The authors' MATLAB where it differs from the paper (docs/paper_vs_code.md): groups of 32 videos
# for single streams, dropout 0.8 in the motion base network, doubled rates, summed losses, two
# corners only, one tau a group, running standard deviations, pooling over time after conv5. Their
# "epochs" are written out in iterations for UCF101's 9537 training videos of split 1, of which each
# is seen 100 times (motion), 10 times (appearance, st_resnet) or once (st_resnet_star) in one.
# ST-ResNet*'s epochs have no end there: MatConvNet's default, 300, is the most they can have been.
#   stresnet train UCF101 --recipe released-code --weights RESNET50
# Cost: 29.8K + 2.2K + 6K + 22.5K iterations; not run here. Expected: 93.5 % (mean of 3 splits).
# --------------------------------------------------------------------------------------------
RELEASED_CODE = Recipe(
    name="released-code",
    depth=50,
    input_size=224,
    temporal_pool="conv5",
    chunk_loss="sum",
    double_rates=True,
    running_moments="deviation",
    phases=(
        Phase(
            name="motion",
            schedule=((1e-2, 7_451), (1e-3, 7_451), (1e-4, 7_451), (1e-5, 7_451)),
            batch=128,
            norm_group=32,
            chunks=1,
            tau=(1, 1),
            crop="corners",
            dropout=0.8,
        ),
        Phase(
            name="appearance",
            schedule=((1e-2, 746), (1e-3, 746), (1e-4, 746)),
            batch=256,
            norm_group=32,
            chunks=1,
            tau=(1, 1),
            crop="corner-grid",
        ),
        Phase(
            name="st_resnet",
            schedule=((1e-3, 2_238), (1e-4, 2_238), (1e-5, 1_492)),
            batch=128,
            norm_group=4,
            chunks=5,
            tau=(5, 15),
            shared_tau=True,
            crop="corner-grid",
        ),
        Phase(
            name="st_resnet_star",
            schedule=((1e-4, 75), (1e-5, 22_425)),
            batch=128,
            norm_group=4,
            chunks=11,
            tau=(1, 15),
            shared_tau=True,
            crop="corner-grid",
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# Small data on a laptop: hundreds of clips, two cores, minutes. AdamW, since a few hundred
# iterations of SGD leave the small network underfitted (docs/log.md); mean losses, groups as large
# as the batch.
#   stresnet train FOLDER
# Cost: under ten minutes on two cores for 190 clips. Chunk strides fit clips of two seconds, where
# 25 chunks stand 1 to 2 frames apart. Accuracy on the surveillance clips: README, "Results".
# --------------------------------------------------------------------------------------------
QUICK = Recipe(
    name="quick",
    depth="tiny",
    input_size=112,
    optimizer="adamw",
    weight_decay=0.02,
    phases=(
        Phase(
            name="motion",
            schedule=((1e-3, 300),),
            cosine=True,
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.2,
        ),
        Phase(
            name="appearance",
            schedule=((1e-3, 150),),
            cosine=True,
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet",
            schedule=((3e-4, 150),),
            cosine=True,
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((3e-4, 60),),
            cosine=True,
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# The paper's ResNet-50 on the same small data: an hour on two cores. SGD as in the paper, at rates
# for batches of 16 instead of 256: at 1e-2 it diverges (docs/log.md).
#   stresnet train FOLDER --recipe quick-resnet50 --weights RESNET50
# Accuracy on the surveillance clips: README, "Results".
# --------------------------------------------------------------------------------------------
QUICK_RESNET50 = Recipe(
    name="quick-resnet50",
    depth=50,
    input_size=160,
    phases=(
        Phase(
            name="motion",
            schedule=((1e-3, 133), (1e-4, 67)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="corners",
            dropout=0.5,
        ),
        Phase(
            name="appearance",
            schedule=((1e-3, 66), (1e-4, 34)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet",
            schedule=((5e-4, 80), (5e-5, 40)),
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(3, 10),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((2e-4, 20), (2e-5, 10)),
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

RECIPES = {recipe.name: recipe for recipe in (PAPER, RELEASED_CODE, QUICK, QUICK_RESNET50)}


def recipe_like(
    recipe: str | Recipe, *, depth: Depth | None = None, input_size: int | None = None
) -> Recipe:
    """Return a recipe, given itself or by its name, with another depth or input size.

    Raises:
        UsageError: there is no recipe of that name.
    """
    recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
    return replace(
        recipe,
        depth=recipe.depth if depth is None else depth,
        input_size=recipe.input_size if input_size is None else input_size,
    )


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name, or the one in a file that ends in .toml.

    Raises:
        UsageError: there is no such recipe or file, or the file is not a recipe.
    """
    if name.endswith(".toml"):
        return read_recipe(Path(name))
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(
            f"no recipe {name!r}; there are {', '.join(RECIPES)}, and files that end in .toml"
        ) from None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from TOML, as `recipe_as_toml` writes it; what is left out is the paper's.

    Raises:
        UsageError: the file cannot be read, or is not a recipe.
    """
    remedy = "compare it with `stresnet train --print-recipe`"
    try:
        return Recipe.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text", remedy=remedy) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML ({error})", remedy=remedy) from error
    except UsageError as error:
        raise UsageError(f"{path}: {error.problem}", remedy=remedy) from error
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: is not a recipe ({error})", remedy=remedy) from error


def recipe_as_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML, a table for each phase."""

    def lines(values: dict[str, Any]) -> list[str]:
        # JSON spells strings, numbers, booleans and lists of them as TOML does.
        return [f"{name} = {json.dumps(value)}" for name, value in values.items()]

    values = recipe.as_dict()
    phases = [line for each in values.pop("phases") for line in ("", "[[phases]]", *lines(each))]
    return "\n".join([*lines(values), *phases, ""])
