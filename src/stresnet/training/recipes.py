"""Training recipes: frozen values, each with its source. Their fields: recipe.py."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from stresnet.errors import UsageError
from stresnet.model.stream import Depth
from stresnet.training.recipe import Phase, Recipe

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
# The authors' MATLAB: all that differs from the paper (docs/paper_vs_code.md): groups of 32 videos
# for single streams, dropout 0.8 in the motion base network, doubled rates, summed losses, two
# corners only, one tau per group, running standard deviations, pooling over time after conv5. Their
# "epochs" are written out in iterations for UCF101's 9537 training videos of split 1; in one epoch
# each video is seen 100 times (motion), 10 times (appearance, st_resnet) or once (st_resnet_star).
# For ST-ResNet* their code sets no last epoch: MatConvNet's default, 300, is the most there can
# have been.
#   stresnet train UCF101 --recipe released-code --weights RESNET50
# Cost: 29.8K + 2.2K + 6K + 22.5K iterations; not run here. Expected: 93.5 % (mean of 3 splits).
# --------------------------------------------------------------------------------------------
_MOTION, _APPEARANCE, _ST_RESNET, _ST_RESNET_STAR = PAPER.phases
RELEASED_CODE = replace(
    PAPER,
    name="released-code",
    temporal_pool="conv5",
    double_rates=True,
    running_moments="deviation",
    phases=(
        replace(
            _MOTION,
            schedule=((1e-2, 7_451), (1e-3, 7_451), (1e-4, 7_451), (1e-5, 7_451)),
            batch=128,
            norm_group=32,
            dropout=0.8,
        ),
        replace(
            _APPEARANCE,
            schedule=((1e-2, 746), (1e-3, 746), (1e-4, 746)),
            norm_group=32,
            crop="corner-grid",
        ),
        replace(
            _ST_RESNET,
            schedule=((1e-3, 2_238), (1e-4, 2_238), (1e-5, 1_492)),
            shared_tau=True,
            crop="corner-grid",
        ),
        replace(
            _ST_RESNET_STAR,
            schedule=((1e-4, 75), (1e-5, 22_425)),
            shared_tau=True,
            crop="corner-grid",
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# Small data on a laptop: hundreds of clips, two cores. Its departures from the paper are ours. What
# was measured, on ten classes of UCF101, is in docs/log.md.
# - videos at half the size, flow by FAST: a seventh of the paper's preparation;
# - AdamW, since a few hundred iterations of SGD leave the streams underfitted; mean losses, groups
#   as large as the batch;
# - 45 epochs of the motion stream, which most of the accuracy comes from: 15 leave it underfitted;
# - of the appearance stream alone only the classifier learns, and not for long: it learns a few
#   hundred clips by heart, and its scores then outvote the motion stream's;
# - the joint networks start where the two streams stand (identity temporal filters, factors of the
#   motion residuals from 0); what the streams have learned moves at a tenth of the rate of what is
#   new, with fixed norms; in the end they go back by 0.3 of the way.
#   stresnet train FOLDER
# Accuracy: docs/results.md. Cost: `--dry-run`.
# --------------------------------------------------------------------------------------------
QUICK = Recipe(
    name="quick",
    depth=50,
    input_size=112,
    short_side=128,
    flow="fast",
    optimizer="adamw",
    weight_decay=0.02,
    residual_scale="channel",
    scale_rate=1000.0,
    temporal_init="identity",
    phases=(
        Phase(
            name="motion",
            schedule=((3e-4, 45),),
            unit="epochs",
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
            schedule=((1e-3, 2),),
            unit="epochs",
            learns="classifier",
            fixed_norms=True,
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
            schedule=((1e-4, 1),),
            unit="epochs",
            fixed_norms=True,
            pretrained_rate=0.1,
            blend=0.7,
            cosine=True,
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(5, 15),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((3e-5, 1),),
            unit="epochs",
            fixed_norms=True,
            pretrained_rate=0.1,
            blend=0.7,
            cosine=True,
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 15),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# The same with half of the network (the model `fight`), and with the paper's size of pictures:
# four times the work, and better where pictures tell much (the model `exercise`). Their appearance
# phase is longer, as in all that docs/results.md says of them.
#   stresnet train FOLDER --recipe quick-small
#   stresnet train FOLDER --recipe quick-large
# --------------------------------------------------------------------------------------------
_LONGER = QUICK.with_phases("appearance", schedule=((3e-3, 8),), unit="epochs")
QUICK_SMALL = replace(_LONGER, name="quick-small", depth="small")
QUICK_LARGE = replace(_LONGER, name="quick-large", input_size=224, short_side=256)

RECIPES = {
    recipe.name: recipe for recipe in (PAPER, RELEASED_CODE, QUICK, QUICK_SMALL, QUICK_LARGE)
}


def recipe_named(
    recipe: str | Recipe, *, depth: Depth | None = None, input_size: int | None = None
) -> Recipe:
    """Return a recipe, given by name, as a .toml file or itself, with another depth or size.

    Raises:
        UsageError: there is no such recipe or file, or the file is not a recipe.
    """
    if isinstance(recipe, str) and recipe.endswith(".toml"):
        recipe = read_recipe(Path(recipe))
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            known = ", ".join(RECIPES)
            raise UsageError(f"no recipe {recipe!r}; there are {known}, and files FILE.toml")
        recipe = RECIPES[recipe]
    return replace(
        recipe,
        depth=recipe.depth if depth is None else depth,
        input_size=recipe.input_size if input_size is None else input_size,
    )


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


def recipe_as_toml(recipe: Recipe) -> str:
    """Return a recipe as TOML, a table for each phase."""

    def lines(values: dict[str, Any]) -> list[str]:
        # JSON spells strings, numbers, booleans and lists of them as TOML does; TOML has no null.
        spelt = {name: "none" if value is None else value for name, value in values.items()}
        return [f"{name} = {json.dumps(value)}" for name, value in spelt.items()]

    values = recipe.as_dict()
    phases = [line for each in values.pop("phases") for line in ("", "[[phases]]", *lines(each))]
    return "\n".join([*lines(values), *phases, ""])
