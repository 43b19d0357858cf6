"""Late fusion: a weighted mean of the scores that several programs gave the same videos.

Section 4.2 joins ST-ResNet* with a classifier of improved dense trajectories: both scores are
L2-normalised for each video and averaged. Streams of one network are averaged as they are
(section 4.1), and many programs give probabilities; a file may be taken each way. If scores on
different scales are averaged, the larger scale wins; a warning says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.score_files import ScoreTable, places, read_scores

Normalisation = Literal["raw", "softmax", "l2"]
SPREADS = 10.0  # how many times as far the scores of one file may be spread as another's

logger = logging.getLogger(__name__)


def normalised(scores: NDArray[np.float64], how: Normalisation) -> NDArray[np.float64]:
    """Return scores (N, K) as they are, as probabilities, or scaled to length 1 per video."""
    if how == "softmax":
        return softmax(scores)
    if how == "l2":
        length = np.linalg.norm(scores, axis=1, keepdims=True)
        return np.asarray(scores / np.where(length > 0, length, 1))
    return scores


def fuse(
    scores: Sequence[ScoreTable | str | Path],
    *,
    weights: Sequence[float] | None = None,
    normalise: Normalisation | Sequence[Normalisation] = "raw",
) -> ScoreTable:
    """Return the weighted mean of scores of the same videos in the same order.

    Args:
        scores: tables of scores, or the files that hold them (see `read_scores`).
        weights: one for each table, not negative; None weighs all alike.
        normalise: "raw", "softmax" or "l2" (section 4.2), one for all tables or one each.

    Raises:
        UsageError: weights or normalisations that make no sense.
        DatasetError: a video or class is missing, is in another place or has another true class;
            the first one is named.
    """
    if isinstance(scores, str | Path):  # one file; a str is a sequence of str, too
        scores = [scores]
    tables = [each if isinstance(each, ScoreTable) else read_scores(each) for each in scores]
    if not tables:
        raise UsageError("no scores to fuse")
    kinds = [normalise] * len(tables) if isinstance(normalise, str) else list(normalise)
    shares = np.ones(len(tables)) if weights is None else np.array(weights, dtype=np.float64)
    known = get_args(Normalisation)
    if len(kinds) != len(tables) or not set(kinds) <= set(known):
        raise UsageError(
            f"normalisations {', '.join(kinds)}; expected {', '.join(known)}: one for all files, "
            "or one for each"
        )
    if shares.shape != (len(tables),) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise UsageError(
            f"{len(shares)} weights {shares.tolist()}; expected one for each of "
            f"{len(tables)} files, not negative and not all zero"
        )
    first = tables[0]
    for other in tables[1:]:
        _require_same("video", first, first.names, other, other.names)
        if first.class_names and other.class_names:
            _require_same("class", first, first.class_names, other, other.class_names)
        elif first.scores.shape != other.scores.shape:
            raise DatasetError(
                f"{other.origin}: {other.scores.shape[1]} scores per video, "
                f"expected {first.scores.shape[1]} as in {first.origin}"
            )
    parts = [normalised(table.scores, kind) for table, kind in zip(tables, kinds, strict=True)]
    for warning in scale_warnings(tables, kinds, parts):
        logger.warning(warning)
    return ScoreTable(
        origin="fusion of " + ", ".join(table.origin for table in tables),
        names=first.names,
        scores=np.tensordot(shares / shares.sum(), np.stack(parts), axes=1),
        class_names=next((table.class_names for table in tables if table.class_names), ()),
        truth=_common_truth(tables),
    )


def scale_warnings(
    tables: Sequence[ScoreTable],
    kinds: Sequence[Normalisation],
    parts: Sequence[NDArray[np.float64]],
) -> list[str]:
    """Return what is odd about the scales of scores that are to be averaged.

    Args:
        parts: the scores of `tables`, normalised as `kinds` say.
    """
    warnings = []
    for table, kind in zip(tables, kinds, strict=True):
        if kind == "softmax" and _are_probabilities(table.scores):
            warnings.append(
                f"{table.origin} holds probabilities already: a second softmax makes all classes "
                "nearly equal. Use --normalise raw for it"
            )
        elif _softmax_twice(table.scores):
            warnings.append(
                f"{table.origin} holds numbers that look like a softmax of probabilities: a "
                "softmax was probably applied twice before they were written"
            )
    probable = [_are_probabilities(part) for part in parts]
    spreads = [float(part.std(axis=1).mean()) for part in parts]
    widest, narrowest = int(np.argmax(spreads)), int(np.argmin(spreads))
    if any(probable) and not all(probable) and set(kinds) != {"l2"}:
        one, other = probable.index(True), probable.index(False)
        warnings.append(
            f"{tables[one].origin} is averaged as probabilities, and {tables[other].origin} is "
            "not: the mean follows the larger numbers. Use --normalise softmax for files that hold "
            "unnormalised scores and raw for those that hold probabilities, or l2 for all"
        )
    elif spreads[widest] > SPREADS * spreads[narrowest]:
        warnings.append(
            f"the scores of {tables[widest].origin} are spread {spreads[widest]:.2g} around their "
            f"mean, those of {tables[narrowest].origin} {spreads[narrowest]:.2g}: the mean follows "
            "the former. Use --normalise l2 or softmax to bring them to one scale"
        )
    return warnings


def _are_probabilities(scores: NDArray[np.float64]) -> bool:
    """Whether scores are probabilities, perhaps in per cent."""
    sums = scores.sum(axis=1)
    of_one, of_hundred = np.allclose(sums, 1, atol=1e-3), np.allclose(sums, 100, atol=0.5)
    return bool((scores >= 0).all() and (of_one or of_hundred))


def _softmax_twice(scores: NDArray[np.float64]) -> bool:
    """Whether probabilities are the softmax of probabilities, some of which are nearly certain."""
    if scores.shape[1] < 2 or not _are_probabilities(scores) or not (scores > 0).all():
        return False
    logarithms = np.log(scores)  # those of softmax(q): q minus a number for each video
    first = logarithms + (1 - logarithms.sum(axis=1, keepdims=True)) / scores.shape[1]
    return bool((first > -1e-3).all() and first.max() > 0.9)


def _require_same(
    kind: str, first: ScoreTable, ours: Sequence[str], other: ScoreTable, theirs: Sequence[str]
) -> None:
    """Raise an error that names what is missing, or else the first in another place."""
    places(kind, ours, theirs, other.origin)
    places(kind, theirs, ours, first.origin)
    for place, (name, instead) in enumerate(zip_longest(ours, theirs)):
        if name != instead:
            raise DatasetError(
                f"{other.origin}: {kind} {place + 1} is {instead!r}, "
                f"expected {name!r} as in {first.origin}",
                remedy="bring both files into the same order",
            )


def _common_truth(tables: Sequence[ScoreTable]) -> NDArray[np.int64] | None:
    known = [table for table in tables if table.truth is not None]
    truth = known[0].truth if known else None
    for table in known[1:]:
        if (differing := np.flatnonzero(table.truth != truth)).size:
            raise DatasetError(
                f"{table.origin}: {table.names[differing[0]]} has another true class "
                f"than in {known[0].origin}",
                remedy="make both files of the same labels",
            )
    return truth
