"""ST-ResNet* + IDT, the last row of Table 4 (section 4.2).

The scores of a network and those of support vector machines on improved dense trajectories are
L2-normalised for each video and averaged.

With two classes that rule decides nothing: one machine's score is the other's with its sign
changed, so each video's scores become ±1/√2, and the sum always follows the machines. Two classes
are therefore averaged as probabilities (softmax) instead, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.fusion import Normalisation, fuse
from stresnet.evaluation.score_files import ScoreTable, places

IDT = "improved dense trajectories (IDT)"  # as Table 4 calls it
TWO_CLASSES = (
    "two classes: the scores with IDT are averaged as probabilities, not L2-normalised as in the "
    "paper, which would always follow IDT"
)


def add_idt(comparison: Comparison, tables: Sequence[ScoreTable]) -> Comparison:
    """Return the comparison with two more entries: IDT alone, and its main network with IDT.

    Args:
        tables: the scores of IDT, one table for each fold.

    Raises:
        DatasetError: a table lacks a video or a class of the network's, or has another true class.
    """
    main = comparison.main
    normalise = rule(main.class_names)
    alone, fused = [], []
    for result, table in zip(main.results, tables, strict=True):
        network = ScoreTable(
            "the network",
            result.names,
            result.scores["fused"].astype(np.float64),
            result.class_names,
            result.truth,
        )
        matched = _matched(network, table)
        both = fuse([network, matched], normalise=normalise)
        # How long those scores took is not known here.
        alone.append(replace(result, scores=_fused(matched), seconds=np.zeros(0)))
        fused.append(replace(result, scores=_fused(both), seconds=np.zeros(0)))
    names = (("IDT", IDT), (f"{main.model} + IDT", f"{main.network} + IDT"))
    entries = tuple(
        replace(main, model=model, network=network_name, results=tuple(results))
        for (model, network_name), results in zip(names, (alone, fused), strict=True)
    )
    warnings = (TWO_CLASSES,) if normalise == "softmax" else ()
    return replace(comparison, idt=entries, warnings=(*comparison.warnings, *warnings))


def of_table_4(network: str) -> bool:
    """Whether an entry's network is IDT, or one with it."""
    return network == IDT or network.endswith("+ IDT")


def rule(class_names: Sequence[str]) -> Normalisation:
    """Return how scores are normalised before they are averaged."""
    return "l2" if len(class_names) > 2 else "softmax"


def _fused(table: ScoreTable) -> dict[str, NDArray[np.float32]]:
    return {"fused": table.scores.astype(np.float32)}


def _matched(network: ScoreTable, table: ScoreTable) -> ScoreTable:
    """Return the table's rows and columns in the network's order; other videos are left out."""
    rows = places("video", network.names, table.names, table.origin)
    columns = list(range(table.scores.shape[1]))
    if table.class_names:
        columns = places("class", network.class_names, table.class_names, table.origin)
        # A class that the network does not have would be left out silently.
        places("class", table.class_names, network.class_names, network.origin)
    truth = None
    if table.truth is not None:
        truth = np.array([columns.index(label) for label in table.truth[rows]], dtype=np.int64)
    scores = table.scores[np.ix_(rows, columns)]
    return ScoreTable(table.origin, network.names, scores, network.class_names, truth)
