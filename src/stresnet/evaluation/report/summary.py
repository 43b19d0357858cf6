"""A comparison's numbers as plain values: `report.json`, and what the tables and the page show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.bootstrap import COVERAGE, DRAWS, estimate
from stresnet.evaluation.calibration import BINS, calibration_error, reliability
from stresnet.evaluation.comparison import Comparison, Entry
from stresnet.evaluation.metrics import class_accuracies, confusion
from stresnet.evaluation.paper_numbers import benchmark_of, table_3, table_4
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report.error_analysis import confused_pairs, hardest_videos
from stresnet.evaluation.result import ROWS
from stresnet.evaluation.with_idt import of_table_4

FORMAT = 1
BEST_FIVE_FROM = 6  # classes; with fewer, top-5 is always right


def summarise(comparison: Comparison, *, seed: int = 0) -> dict[str, Any]:
    """All numbers, as JSON takes them; fractions in [0, 1], the paper's numbers in per cent.

    Args:
        seed: of the bootstrap.
    """
    main = comparison.main
    benchmark = benchmark_of(main.class_names)
    counts = confusion(main.scores(), main.truth)
    return {
        "format": FORMAT,
        "stresnet": version("stresnet"),
        "data": comparison.data,
        "benchmark": benchmark,
        "folds": [fold for fold in comparison.folds if fold is not None],
        "videos": len(main.names),
        "sources": len({name for result in main.results for name in result.sources}),
        "class_names": list(main.class_names),
        "warnings": list(comparison.warnings),
        "failures": comparison.failures,
        "main": {"model": main.model, "network": main.network, "protocol": main.protocol.name},
        "table": [
            _row(entry, row, seed)
            for entry in (*comparison.entries, *comparison.idt)
            for row in entry.rows
        ],
        "paper_table_4": table_4(benchmark),
        "rows": {row: _of_row(main, row, seed) for row in ROWS},
        "confused_pairs": [
            {
                "true": main.class_names[pair.true],
                "predicted": main.class_names[pair.predicted],
                "videos": pair.videos,
                "share": pair.share,
                "example": main.names[pair.example],
            }
            for pair in confused_pairs(main.scores(), main.truth, counts)
        ],
        "hardest": [
            {
                "name": main.names[video.index],
                "true": main.class_names[video.true],
                "predicted": main.class_names[video.predicted],
                "of_truth": video.of_truth,
                "of_predicted": video.of_predicted,
            }
            for video in hardest_videos(main.scores(), main.truth)
        ],
        "calibration": _calibration(comparison),
        "curve": [_row(entry, "fused", seed) for entry in comparison.curve],
        "method": {
            "protocol": asdict(main.protocol),
            "interval": f"{COVERAGE:.0%} percentile bootstrap of {DRAWS} draws of sources",
            "bootstrap_seed": seed,
            "calibration_bins": BINS,
        },
    }


def _row(entry: Entry, row: str, seed: int) -> dict[str, Any]:
    """One line of the table."""
    protocol = entry.protocol
    benchmark = benchmark_of(entry.class_names)
    if of_table_4(entry.network):
        paper = table_4(benchmark).get(entry.network)
    else:
        paper = table_3(benchmark, entry.network, row)
    return {
        "model": entry.model,
        "network": entry.network,
        "protocol": protocol.name,
        "chunks": protocol.chunks,
        "row": row,
        **_accuracies(entry, row, seed),
        "of_folds": [result.accuracy(row) for result in entry.results],
        "seconds_per_video": entry.seconds,
        "paper": paper if protocol == PAPER else None,
    }


def _accuracies(entry: Entry, row: str, seed: int) -> dict[str, Any]:
    estimates = estimate([result.outcome(row) for result in entry.results], seed=seed)
    plain: dict[str, Any] = {name: asdict(value) for name, value in estimates.items()}
    if len(entry.class_names) < BEST_FIVE_FROM:
        plain["top5"] = None
    return plain


def _of_row(main: Entry, row: str, seed: int) -> dict[str, Any]:
    scores, truth = main.scores(row), main.truth
    estimates = estimate([result.outcome(row) for result in main.results], seed=seed)
    of_classes = class_accuracies(scores, truth).tolist()
    return {
        "top1": estimates["top1"].value,
        "mean_class": estimates["mean_class"].value,
        "class_accuracies": [None if np.isnan(value) else value for value in of_classes],
        "confusion": confusion(scores, truth).tolist(),
    }


def _calibration(comparison: Comparison) -> dict[str, Any]:
    main, fitted = comparison.main, comparison.calibration
    said = {"before": _reliability(main.scores(), main.truth), "after": None, "fitted": None}
    if fitted is not None:
        scaled = [
            result.scores["fused"] / temperature
            for result, temperature in zip(main.results, fitted.temperatures, strict=True)
        ]
        said["after"] = _reliability(np.concatenate(scaled), main.truth)
        said["fitted"] = {
            "temperatures": list(fitted.temperatures),
            "training_videos": [list(names) for names in fitted.videos],
        }
    return said


def _reliability(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> dict[str, Any]:
    bins = reliability(scores, truth)
    return {"ece": calibration_error(bins), "bins": [asdict(each) for each in bins]}


def row_label(line: dict[str, Any]) -> str:
    """What a line of the table is called: network, stream, and the protocol if not the paper's."""
    if of_table_4(line["network"]):
        return str(line["network"])
    two_stream = line["network"] == "two-stream"
    stream = {
        "appearance": "appearance stream",
        "motion": "motion stream",
        "fused": "late fusion" if two_stream else "both streams",
    }[line["row"]]
    protocol = "" if line["protocol"] == PAPER.name else f", {line['protocol']}"
    return f"{line['network']}, {stream}{protocol}"


def per_cent(estimated: dict[str, float] | None) -> str:
    """`81.6 (70.1–91.0)`; an en dash where there is nothing."""
    if estimated is None:
        return "–"
    value, low, high = (100 * estimated[key] for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"


def method_in_words(said: dict[str, Any]) -> Sequence[str]:
    """How the numbers came about, a paragraph each."""
    method, folds = said["method"], said["folds"]
    protocol = method["protocol"]
    seen = {
        "whole": "whole frames",
        "five": "crops at four corners and the centre",
        "centre": "a crop at the centre",
    }[protocol["crops"]]
    mirrored = " and their mirror images" if protocol["mirrored"] else ""
    several = len(folds) > 1
    means = f" Accuracies are means over the folds {', '.join(map(str, folds))}." if several else ""
    together = ", the videos of all folds together" if several else ""
    return [
        f"Protocol {protocol['name']}: {protocol['chunks']} chunks spread evenly over each video, "
        f"{seen}{mirrored}; unnormalised class scores are averaged over space, time and views, and "
        f"over both streams with equal weight.{means}",
        f"The range behind an accuracy: {method['interval']}, seed {method['bootstrap_seed']}. "
        "Videos cut from one source are drawn together, because they are not independent; a video "
        f"without a known source is its own. Here {said['videos']} videos come from "
        f"{said['sources']} sources. The interval says how far other test videos would move the "
        "accuracy, not how far another training run would.",
        "Per-class accuracy, confusions, hardest videos and calibration are of "
        f"{said['main']['model']} with both streams{together}.",
    ]
