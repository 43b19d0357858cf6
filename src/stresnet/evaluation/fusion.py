"""Late fusion: a weighted mean of the scores that several programs gave the same videos.

Section 4.2 joins ST-ResNet* with a classifier of improved dense trajectories: both scores are
L2-normalised for each video and averaged. Streams of one network are averaged as they are
(section 4.1), and many programs give probabilities; a file may be taken each way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.score_files import ScoreTable

Normalisation = Literal["raw", "softmax", "l2"]


def normalised(scores: NDArray[np.float64], how: Normalisation) -> NDArray[np.float64]:
    """(N, K) as it is, as probabilities, or with every video's scores of length one."""
    if how == "softmax":
        return softmax(scores)
    if how == "l2":
        length = np.linalg.norm(scores, axis=1, keepdims=True)
        return np.asarray(scores / np.where(length > 0, length, 1))
    return scores


def fuse(
    tables: Sequence[ScoreTable],
    *,
    weights: Sequence[float] | None = None,
    normalise: Normalisation | Sequence[Normalisation] = "raw",
) -> ScoreTable:
    """The weighted mean of scores of the same videos in the same order.

    Args:
        weights: one a table, not negative; None weighs all alike.
        normalise: "raw", "softmax" or "l2" (section 4.2), for all tables or one each.

    Raises:
        UsageError: weights or normalisations that make no sense.
        DatasetError: a video or class is missing, in another place or has another true class; the
            first such is named.
    """
    if not tables:
        raise UsageError("there are no scores to fuse")
    kinds = [normalise] * len(tables) if isinstance(normalise, str) else list(normalise)
    shares = np.ones(len(tables)) if weights is None else np.array(weights, dtype=np.float64)
    known = get_args(Normalisation)
    if len(kinds) != len(tables) or not set(kinds) <= set(known):
        raise UsageError(
            f"normalisations {', '.join(kinds)}; expected {', '.join(known)}, one for all or each"
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
                f"{other.origin}: {other.scores.shape[1]} scores a video, "
                f"expected {first.scores.shape[1]} as in {first.origin}"
            )
    parts = [normalised(table.scores, kind) for table, kind in zip(tables, kinds, strict=True)]
    return ScoreTable(
        origin="fusion of " + ", ".join(table.origin for table in tables),
        names=first.names,
        scores=np.tensordot(shares / shares.sum(), np.stack(parts), axes=1),
        class_names=next((table.class_names for table in tables if table.class_names), ()),
        truth=_common_truth(tables),
    )


def _require_same(
    kind: str, first: ScoreTable, ours: Sequence[str], other: ScoreTable, theirs: Sequence[str]
) -> None:
    """Name what is missing, else the first that stands in another place."""
    for here, names, there, found in (
        (first, ours, other, set(theirs)),
        (other, theirs, first, set(ours)),
    ):
        if missing := [name for name in names if name not in found]:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise DatasetError(
                f"{there.origin}: {kind} {missing[0]!r}{more} is missing, which {here.origin} has",
                remedy=f"make both files of the same {kind}{'es' if kind == 'class' else 's'}",
            )
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
