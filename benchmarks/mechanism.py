"""What joining two trained streams does to them, before and during joint training.

    python benchmarks/mechanism.py RUN DATA OUT --fold 1 [--iterations 15 60] [--store STORE]

Motion residuals (Eq. 2) add to sums that pretrained filters have never seen, and temporal filters
that average (Eq. 5) mix chunks: each alone, both as the paper starts, and both from zero (learnt
factors that start at 0, temporal filters at the identity: `quick`). All are made from the two
streams of RUN, scored on the test videos as they are, and the last two again after joint phases of
so many iterations each. Rerun to resume. It prints a table for Markdown, and writes OUT/table.json
for tools/pictures/mechanism.py.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import torch

from stresnet.data.prepare.ensure import PreparedVideos, ensure_prepared
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store
from stresnet.evaluation.comparison import ROWS
from stresnet.evaluation.protocols import QUICK
from stresnet.evaluation.scoring import score_videos
from stresnet.files import atomic_write
from stresnet.model import STResNet, load_model
from stresnet.training.initialisation import network, start_from_model
from stresnet.training.recipe import Recipe
from stresnet.training.run import train
from stresnet.training.run_folder import read_run
from stresnet.training.runtime import Execution

PAPER, ZERO = "both, the paper's start", "both, from zero"
ALONE = {"motion_residual": None, "temporal_convolutions": False}
STARTS: dict[str, dict[str, object]] = {
    "two streams": ALONE,
    "motion residuals": ALONE | {"motion_residual": "appearance", "residual_scale": "none"},
    "temporal averages": ALONE | {"temporal_convolutions": True, "temporal_init": "average"},
    PAPER: {"residual_scale": "none", "temporal_init": "average"},
    ZERO: {"residual_scale": "channel", "temporal_init": "identity"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="of `stresnet train`, with two trained streams")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--iterations", type=int, nargs="*", default=[15, 60])
    parser.add_argument("--store", type=Path, help="default: as of `stresnet train`")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # training's progress
    recipe = Recipe.from_dict(read_run(given.run)["arguments"]["recipe"])
    store = given.store or default_store(given.data, **recipe.preparing)
    split = open_dataset(given.data, fold=given.fold)
    tested = ensure_prepared(split.test, store, **recipe.preparing)
    two_stream = given.run / "two_stream"
    rows = []
    print(f"| start | iterations | {' | '.join(ROWS)} |\n|---|---|{'---|' * len(ROWS)}", flush=True)
    for start, changes in STARTS.items():
        begun = replace(recipe, **changes)  # type: ignore[arg-type]
        for iterations in [0, *(given.iterations if start in (PAPER, ZERO) else [])]:
            if iterations == 0:
                net = joined(begun, two_stream)
            else:
                (rate, _), *_ = begun.phase("st_resnet").schedule
                folder = train(
                    given.data,
                    given.out / f"{'zero' if start == ZERO else 'paper'}-{iterations}",
                    recipe=begun.with_phases("st_resnet", schedule=((rate, iterations),)),
                    weights=two_stream,
                    fold=given.fold,
                    store=store,
                    phases=("st_resnet",),
                    execution=Execution(workers=0),
                )
                net = load_model(folder)
            accuracies = tested_on(net, tested, given.out / f"{start}-{iterations}.npz")
            rows.append({"start": start, "iterations": iterations, **accuracies})
            cells = " | ".join(f"{accuracies[row]:.1f}" for row in ROWS)
            print(f"| {start} | {iterations} | {cells} |", flush=True)
    with atomic_write(given.out / "table.json") as partial:
        partial.write_text(json.dumps(rows, indent=1))


def joined(recipe: Recipe, two_stream: Path) -> STResNet:
    """The joint network as its training begins."""
    trained = load_model(two_stream)
    torch.manual_seed(0)
    net = network(recipe, recipe.phase("st_resnet"), len(trained.class_names))
    start_from_model(net, two_stream, trained.class_names, recipe.temporal_init)
    net.class_names, net.preparation = trained.class_names, trained.preparation
    return net.eval()


def tested_on(net: STResNet, videos: PreparedVideos, cache: Path) -> dict[str, float]:
    """Accuracy of each stream and of both, per cent."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    found = score_videos(net, videos, protocol=QUICK, precision="fp32", cache=cache)
    return {row: 100 * found.accuracy(row) for row in ROWS}


if __name__ == "__main__":
    main()
