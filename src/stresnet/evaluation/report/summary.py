"""A comparison's numbers as plain values: `report.json`, and what the tables and the page show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from stresnet.evaluation.bootstrap import COVERAGE, DRAWS, SEED, estimate
from stresnet.evaluation.calibration import BINS, calibration_error, reliability
from stresnet.evaluation.comparison import ROWS, Comparison, Entry
from stresnet.evaluation.metrics import (
    Indices,
    Scores,
    class_accuracies,
    confusion,
    softmax,
)
from stresnet.evaluation.paper_numbers import benchmark_of, table_3, table_4
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.with_idt import of_table_4

FORMAT = 1
BEST_FIVE_FROM = 6  # classes; with fewer, top-5 is always right


def summarise(comparison: Comparison) -> dict[str, Any]:
    """Return all numbers as JSON holds them: fractions in [0, 1], the paper's in per cent."""
    main = comparison.main
    firsts = {entry.protocol: entry for entry in reversed(comparison.entries)}
    benchmark = benchmark_of(main.class_names)
    fused = (main.scores(), main.truth, main.names, main.class_names)
    return {
        "format": FORMAT,
        "stresnet": version("stresnet"),
        "data": comparison.data,
        "store": str(comparison.store),
        "benchmark": benchmark,
        "folds": [fold for fold in comparison.folds if fold is not None],
        "videos": len(main.names),
        "sources": len({name for result in main.results for name in result.sources}),
        "class_names": list(main.class_names),
        "warnings": list(comparison.warnings),
        "failures": comparison.failures,
        "main": {"model": main.model, "network": main.network, "protocol": main.protocol.name},
        "table": [
            _line(entry, row, firsts[entry.protocol])
            for entry in (*comparison.entries, *comparison.idt)
            for row in entry.rows
        ],
        "paper_table_4": table_4(benchmark),
        "rows": {row: _of_row(main, row) for row in ROWS},
        "confused_pairs": confused_pairs(*fused),
        "hardest": hardest_videos(*fused),
        "calibration": _calibration(comparison),
        "method": {
            "protocol": asdict(main.protocol),
            "device": main.results[-1].device,
            "precision": main.results[-1].precision,
            "interval": f"{COVERAGE:.0%} percentile bootstrap of {DRAWS} draws of sources",
            "bootstrap_seed": SEED,
            "calibration_bins": BINS,
        },
    }


def _line(entry: Entry, row: str, first: Entry) -> dict[str, Any]:
    """One line of the table; `first` is what its accuracy is compared with."""
    protocol = entry.protocol
    benchmark = benchmark_of(entry.class_names)
    if of_table_4(entry.network):
        paper = table_4(benchmark).get(entry.network)
    else:
        paper = table_3(benchmark, entry.network, row)
    estimates = estimate(entry.results, row)
    accuracies: dict[str, Any] = {name: asdict(value) for name, value in estimates.items()}
    if len(entry.class_names) < BEST_FIVE_FROM:
        accuracies["top5"] = None
    gain = None
    if entry is not first and entry.names == first.names:
        gain = asdict(estimate(entry.results, row, above=first.results)["top1"])
    return {
        "model": entry.model,
        "network": entry.network,
        "protocol": protocol.name,
        "chunks": protocol.chunks,
        "row": row,
        **accuracies,
        "gain": gain,
        "of_folds": [result.accuracy(row) for result in entry.results],
        "seconds_per_video": entry.seconds,
        "paper": paper if protocol == PAPER else None,
    }


def _of_row(main: Entry, row: str) -> dict[str, Any]:
    scores, truth = main.scores(row), main.truth
    of_classes = class_accuracies(scores, truth).tolist()
    return {
        "top1": main.accuracy(row),
        "class_accuracies": [None if np.isnan(value) else value for value in of_classes],
        "confusion": confusion(scores, truth).tolist(),
    }


def _calibration(comparison: Comparison) -> dict[str, Any]:
    main, fitted = comparison.main, comparison.calibration
    before = _reliability(main.scores(), main.truth)
    if fitted is None:
        return {"before": before, "after": None, "fitted": None}
    scaled = [
        result.scores["fused"] / temperature
        for result, temperature in zip(main.results, fitted.temperatures, strict=True)
    ]
    return {
        "before": before,
        "after": _reliability(np.concatenate(scaled), main.truth),
        "fitted": {
            "temperatures": list(fitted.temperatures),
            "training_videos": [list(names) for names in fitted.videos],
        },
    }


def _reliability(scores: Scores, truth: Indices) -> dict[str, Any]:
    bins = reliability(scores, truth)
    return {"ece": calibration_error(bins), "bins": [asdict(each) for each in bins]}


PAIRS = 10
HARDEST = 8


def confused_pairs(
    scores: Scores,
    truth: Indices,
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    most: int = PAIRS,
) -> list[dict[str, Any]]:
    """Return pairs of a true and a predicted class, those with the most videos first.

    Among equals, those with a larger `share` of the true class's videos come first. The `example`
    is the video with the surest mistake.
    """
    counts = confusion(scores, truth)
    wrong = counts - np.diag(np.diag(counts))
    share = wrong / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    true, predicted = np.nonzero(wrong)
    order = np.lexsort((predicted, true, -share[true, predicted], -wrong[true, predicted]))[:most]
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    pairs = []
    for a, b in zip(true[order].tolist(), predicted[order].tolist(), strict=True):
        videos = np.flatnonzero((truth == a) & (best == b))
        pairs.append(
            {
                "true": class_names[a],
                "predicted": class_names[b],
                "videos": int(wrong[a, b]),
                "share": float(share[a, b]),
                "example": names[videos[probabilities[videos, b].argmax()]],
            }
        )
    return pairs


def hardest_videos(
    scores: Scores,
    truth: Indices,
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    most: int = HARDEST,
) -> list[dict[str, Any]]:
    """Return the videos whose true class is least probable, the hardest first."""
    probabilities, best = softmax(scores), scores.argmax(axis=1)
    of_truth = probabilities[np.arange(len(truth)), truth]
    return [
        {
            "name": names[index],
            "true": class_names[truth[index]],
            "predicted": class_names[best[index]],
            "of_truth": float(of_truth[index]),
            "of_predicted": float(probabilities[index, best[index]]),
        }
        for index in np.argsort(of_truth, kind="stable")[:most].tolist()
    ]
