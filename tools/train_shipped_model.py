"""Make a model that ships, from a folder of clips to its card.

python tools/train_shipped_model.py FOLDS_CSV NAME OUT [--recipe quick-large]
    [--network two_stream] [--folds 1,2,3] [--ships FOLD]

1. for each fold of FOLDS_CSV (columns path, label, source, fold): train by the recipe with that
   fold kept out
2. train on all clips (their list is written beside FOLDS_CSV); or, with --ships FOLD, take the
   network that has that fold kept out
3. evaluate the networks of step 1, each on its fold
4. write OUT/model: the network of step 2 in 8 bits, its scores calibrated on those of step 3, and
   a card with the accuracies of step 3

Safe to interrupt: the same command resumes. The model goes to src/stresnet/assets/models/NAME.
"""

from __future__ import annotations

import argparse
import csv
import logging
from functools import partial
from pathlib import Path

import numpy as np
import torch

import stresnet
from stresnet.evaluation.calibration import calibration_error, fit_temperature, reliability
from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.metrics import Indices, Scores
from stresnet.evaluation.protocols import PROTOCOLS
from stresnet.model import STResNet
from stresnet.training.recipe import PHASES
from stresnet.training.run import NETWORK_OF


def main() -> None:
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="FOLDS_CSV")
    parser.add_argument("name", help="of the model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="quick")
    parser.add_argument(
        "--network", default="st_resnet_star", choices=sorted({*NETWORK_OF.values()})
    )
    parser.add_argument("--protocol", default="quick", choices=PROTOCOLS)
    parser.add_argument("--folds", help="some of the folds, as 1,2; default: all")
    parser.add_argument("--ships", type=int, metavar="FOLD",
                        help="ship the network that has this fold kept out")  # fmt: skip
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    with options.data.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    folds = sorted({int(row["fold"]) for row in rows})
    if options.folds:
        folds = [int(number) for number in options.folds.split(",")]
    phases = [phase for phase in PHASES if PHASES.index(phase) <= last_phase(options.network)]
    train = partial(stresnet.train, recipe=options.recipe, phases=phases, store=options.store)
    for fold in folds:
        train(options.data, options.out / f"fold{fold}", fold=fold)
    if options.ships:
        kept_out = f"fold {options.ships} kept out"
        trained = options.out / f"fold{options.ships}" / options.network
    else:
        # This list lies beside the other, so that videos keep the names of their stores.
        everything = options.data.with_name(f"{options.data.stem}-all.csv")
        with everything.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("path", "label", "split"))
            table.writerows((row["path"], row["label"], "train") for row in rows)
        kept_out = "no clip kept out"
        trained = train(everything, options.out / "all")
    comparison = stresnet.evaluate(
        options.out / "fold{fold}" / options.network,
        options.data,
        fold=folds,
        out=options.out / "report",
        store=options.store,
        protocols=options.protocol,
    )
    net = stresnet.load_model(trained)
    temperature = fit_temperature(comparison.main.scores(), comparison.main.truth)
    divide_scores(net, temperature)
    net.save_pretrained(
        options.out / "model",
        class_names=net.class_names,
        preparation=net.preparation,
        card=net.card + measured(comparison, options.name, kept_out, temperature),
        bits=8,
    )


def last_phase(network: str) -> int:
    """The place in `PHASES` of the last phase that makes this network."""
    return max(PHASES.index(phase) for phase, made in NETWORK_OF.items() if made == network)


@torch.no_grad()
def divide_scores(net: STResNet, temperature: float) -> None:
    """Have a network give the scores that it gave, divided by a temperature."""
    for stream in (net.appearance, net.motion):
        stream.classifier.weight /= temperature
        stream.classifier.bias /= temperature


def measured(comparison: Comparison, name: str, kept_out: str, temperature: float) -> str:
    """The card's part on accuracy: each fold, and who is taken for whom."""
    main = comparison.main
    lines = [
        "",
        f"This network, `{name}`, was trained with {kept_out}. Networks that each had one fold "
        f"kept out, on that fold (protocol `{main.protocol.name}`):",
        "",
        "| kept out | appearance | motion | both |",
        "|---|---|---|---|",
    ]
    for fold, result in zip(comparison.folds, main.results, strict=True):
        of_rows = (f"{100 * result.accuracy(row):.1f} %" for row in main.rows)
        lines.append(f"| fold {fold} ({len(result.names)} clips) | {' | '.join(of_rows)} |")
    of_rows = (f"{100 * main.accuracy(row):.1f} %" for row in main.rows)
    lines += [
        f"| mean | {' | '.join(of_rows)} |",
        "",
        "Of all kept-out clips, by both streams:",
        "",
    ]
    found = main.scores().argmax(1)
    for number, label in enumerate(main.class_names):
        own = main.truth == number
        names, counts = np.unique(found[own & (found != number)], return_counts=True)
        wrong = ", ".join(
            f"{main.class_names[each]} {count}" for each, count in zip(names, counts, strict=True)
        )
        right = int((found[own] == number).sum())
        others = f"; as {wrong}" if wrong else ""
        lines.append(f"- {label}: {right} of {int(own.sum())}{others}")
    lines += ["", *on_calibration(main.scores(), main.truth, temperature)]
    return "\n".join(lines) + "\n"


def on_calibration(scores: Scores, truth: Indices, temperature: float) -> list[str]:
    """The card's line on the temperature."""
    before, after = (calibration_error(reliability(each, truth))
                     for each in (scores, scores / np.float32(temperature)))  # fmt: skip
    return [
        f"This network's scores are divided by {temperature:.2f}, which suits its siblings' best: "
        f"their calibration error falls from {100 * before:.1f} to {100 * after:.1f} %."
    ]


if __name__ == "__main__":
    main()
