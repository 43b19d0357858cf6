"""What each idea is worth: variants of a recipe, trained with several seeds, tested on some folds.

    python benchmarks/ablations.py DATA OUT --folds 1,2 --seeds 0,1 [--recipe quick]
        [--weights RESNET50] [--variants paper | NAME,NAME,...] [--store STORE]
        [--phases st_resnet] [--protocol quick]

The variants `paper` are the ablations of sections 3.2 to 4.1. They concern the joint phases alone,
so those of one seed start from the same two streams. Rerun to resume. At the end, and whenever it
is called again, it prints a table for Markdown: accuracy in per cent, the mean over folds and seeds
and, behind ±, the standard deviation over seeds; and by how many points the last network is above
its two streams and above the recipe's own, with 95 % intervals over the sources of the test videos.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from stresnet.data.store.location import default_store
from stresnet.errors import StresnetError, UsageError
from stresnet.evaluation.bootstrap import estimate
from stresnet.evaluation.comparison import ROWS, EvaluationResult
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.protocols import PROTOCOLS
from stresnet.evaluation.report import signed
from stresnet.training.recipe import PhaseName, Recipe
from stresnet.training.recipes import recipe_named
from stresnet.training.run import train
from stresnet.training.runtime import Execution

STREAMS: tuple[PhaseName, ...] = ("motion", "appearance")
JOINT: tuple[PhaseName, ...] = ("st_resnet", "st_resnet_star")
NETWORKS = {"two_stream": "two-stream", "st_resnet": "ST-ResNet", "st_resnet_star": "ST-ResNet*"}

Results = dict[str, EvaluationResult]  # of each network, on one fold


@dataclass(frozen=True)
class Variant:
    """A change of a recipe that concerns the joint phases alone."""

    change: Callable[[Recipe], Recipe]


def of_recipe(**changes: object) -> Variant:
    """The paper's ablations: fields of the recipe."""
    return Variant(lambda recipe: replace(recipe, **changes))  # type: ignore[arg-type]


def of_phases(**changes: object) -> Variant:
    """Fields of the joint phases."""
    return Variant(lambda recipe: recipe.with_phases(*JOINT, **changes))


BASE = {"the recipe": of_recipe()}
PAPER: dict[str, Variant] = {
    "bidirectional": of_recipe(motion_residual="bidirectional"),
    "direct": of_recipe(motion_residual="direct"),
    "multiplicative": of_recipe(motion_residual="multiplicative"),
    "not connected": of_recipe(motion_residual=None),
    "no temporal convolutions": of_recipe(temporal_convolutions=False),
    "joint softmax": of_recipe(joint_softmax=True),
    "average pool": of_recipe(temporal_pool_kind="average"),
    "pool after conv5": of_recipe(temporal_pool="conv5"),
    "groups of 2": of_phases(norm_group=2),
    "groups of 4": of_phases(norm_group=4),
    "groups of 8": of_phases(norm_group=8),
}
OURS = {"slower factors": of_recipe(scale_rate=100.0)}
ALL = BASE | PAPER | OURS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=numbers, default=(None,), metavar="1,2,...")
    parser.add_argument("--seeds", type=numbers, default=(0, 1, 2), metavar="0,1,...")
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--weights", help="an ImageNet ResNet, as for stresnet train")
    parser.add_argument("--variants", default="paper", help="paper, or names")
    parser.add_argument("--store", type=Path, help="default: as of `stresnet train`")
    parser.add_argument("--phases", default=",".join(JOINT), help="joint phases to run")
    parser.add_argument("--protocol", default="paper", choices=PROTOCOLS)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # training's progress
    recipe = recipe_named(options.recipe)
    studies = [
        Study(
            options.data,
            options.out if fold is None else options.out / f"fold-{fold}",
            recipe,
            fold=fold,
            weights=options.weights,
            store=options.store or default_store(options.data, **recipe.preparing),
            phases=tuple(options.phases.split(",")),
            protocol=options.protocol,
            workers=options.workers,
        )
        for fold in options.folds
    ]
    found = {
        name: [[study.results(name, variant, seed) for study in studies] for seed in options.seeds]
        for name, variant in variants_named(options.variants).items()
    }
    print(table(found))


def numbers(text: str) -> tuple[int, ...]:
    """1,2 -> (1, 2)"""
    return tuple(int(each) for each in text.split(","))


def variants_named(names: str) -> dict[str, Variant]:
    """The recipe itself, and all variants (`paper`) or those of these names.

    Raises:
        UsageError: there is no variant of a name.
    """
    if names == "paper":
        return BASE | PAPER
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in ALL]:
        raise UsageError(f"no variant {unknown[0]!r}; there are {', '.join(ALL)}")
    return BASE | {name: ALL[name] for name in wanted}


@dataclass(frozen=True)
class Study:
    """One recipe on one fold."""

    data: Path
    out: Path
    recipe: Recipe
    fold: int | None
    weights: str | Path | None
    store: Path
    phases: Sequence[PhaseName] = JOINT
    protocol: str = "paper"
    workers: int = 1

    def results(self, name: str, variant: Variant, seed: int) -> Results:
        """Train what is not trained yet, test what is not tested yet."""
        run = self.out / f"{name.replace(' ', '-')}-{seed}"
        streams = self.out / f"two-stream-{seed}"
        two_stream = self._trained(streams, self.recipe, STREAMS, self.weights, seed)
        self._trained(run, variant.change(self.recipe), self.phases, two_stream, seed)
        folders = [two_stream, *(run / phase for phase in self.phases)]
        found = {folder.name: self._tested(folder, seed) for folder in folders}
        fused = ", ".join(
            f"{NETWORKS[network]} {100 * result.accuracy():.1f} %"
            for network, result in found.items()
        )
        where = "" if self.fold is None else f", fold {self.fold}"
        print(f"{name}, seed {seed}{where}: {fused}", file=sys.stderr)
        return found

    def _trained(
        self,
        run: Path,
        recipe: Recipe,
        phases: Sequence[PhaseName],
        weights: str | Path | None,
        seed: int,
    ) -> Path:
        return train(
            self.data,
            run,
            recipe=recipe,
            weights=weights,
            fold=self.fold,
            store=self.store,
            phases=phases,
            seed=seed,
            execution=Execution(workers=self.workers),
        )

    def _tested(self, folder: Path, seed: int) -> EvaluationResult:
        (result,) = evaluate(
            folder,
            self.data,
            fold=self.fold,
            seed=seed,
            store=self.store,
            protocols=self.protocol,
            out=folder.parent,
            precision="fp32",
        ).main.results
        return result


def table(found: Mapping[str, Sequence[Sequence[Results]]]) -> str:
    """Rows of a table for Markdown, one a variant: its seeds, of each the folds."""
    networks = list(next(iter(found.values()))[0][0])
    last = networks[-1]
    columns = [(network, row) for network in networks for row in ROWS]
    titles = [f"{NETWORKS[network]}, {row}" for network, row in columns]
    titles += [f"{NETWORKS[last]} over two-stream", "over the recipe"]
    lines = [["variant", *titles], ["---"] * (1 + len(titles))]
    of_recipe = of_network(found["the recipe"], last)
    for name, seeds in found.items():
        accuracies = [
            cell([mean(fold[network].accuracy(row) for fold in seed) for seed in seeds])
            for network, row in columns
        ]
        own = of_network(seeds, last)
        above = (of_network(seeds, "two_stream"), of_recipe)
        gains = [signed(asdict(estimate(own, above=other)["top1"])) for other in above]
        lines.append([name, *accuracies, *gains])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_network(seeds: Sequence[Sequence[Results]], network: str) -> list[EvaluationResult]:
    return [fold[network] for seed in seeds for fold in seed]


def mean(accuracies: Iterable[float]) -> float:
    """Over the folds, in per cent, as the paper's over the three splits."""
    return 100 * float(np.mean(list(accuracies)))


def cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


if __name__ == "__main__":
    try:
        main()
    except StresnetError as error:
        raise SystemExit(f"error: {error}") from None
