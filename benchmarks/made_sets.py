"""What motion and temporal convolutions are good for, on clips that differ in nothing else.

    tools/make-motion-set VIDEOS OUT
    python benchmarks/made_sets.py OUT/motion/folds.csv RUNS/motion [--seeds 0,1,2] [--store STORE]
    python benchmarks/made_sets.py OUT/order/folds.csv RUNS/order

`motion`: single frames say nothing, so the appearance stream can only guess until motion enters.
`order`: single flow stacks say nothing either, so two streams that judge chunk by chunk can only
guess (50 %); ST-ResNet sees three chunks at once in each temporal convolution. Prints a table as
`ablations.py` does: the network, and the same without temporal convolutions, where only the pool
over time and the norms' moments join chunks.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from ablations import BASE, PAPER, Study, numbers, table

from stresnet.data.store.location import default_store
from stresnet.errors import StresnetError
from stresnet.training.recipes import QUICK

# Small crops, since whole pictures move; strides at which three chunks see one motion and the next.
RECIPE = (
    replace(QUICK, name="made-sets", input_size=80)
    .with_phases("motion", schedule=((1e-3, 80),))
    .with_phases("appearance", schedule=((1e-3, 80),))
    .with_phases("st_resnet", schedule=((1e-3, 160),), tau=(3, 6))
    .with_phases("st_resnet_star", schedule=((3e-4, 60),), tau=(2, 4), norm_group=8)
)
VARIANTS = BASE | {"no temporal convolutions": PAPER["no temporal convolutions"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=numbers, default=(0,), metavar="0,1,...")
    parser.add_argument("--store", type=Path, help="default: as of `stresnet train`")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # training's progress
    store = options.store or default_store(options.data, **RECIPE.preparing)
    study = Study(options.data, options.out, RECIPE, fold=1, weights=None, store=store)
    print(
        table(
            {
                name: [[study.results(name, variant, seed)] for seed in options.seeds]
                for name, variant in VARIANTS.items()
            }
        )
    )


if __name__ == "__main__":
    try:
        main()
    except StresnetError as error:
        raise SystemExit(f"error: {error}") from None
