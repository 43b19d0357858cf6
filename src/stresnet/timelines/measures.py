"""How well a timeline fits the true one: the measures of action detection and segmentation.

    mean AP at tIoU t    ActivityNet's (Caba Heilbron et al., CVPR 2015): segments ranked by score
                         over all recordings, each true one found at most once; interpolated AP of
                         each class, then the mean over the classes that occur
    F1@k                 Lea et al., CVPR 2017: each found segment against the true one of its class
                         that it overlaps most, right from an IoU of k % on; counted over recordings
    edit                 100 (1 - d / n): d the Levenshtein distance of the two orders of labels, n
                         the longer one's length (Lea et al., ECCV 2016)
    frame accuracy       share of the time that has its true label, unlabelled time included
    labelled accuracy    the same where the true label is an action
    onset, offset        |found - true| in seconds, median over the pairs that F1@10 counts

Time is exact: nothing is sampled at frames. Unlabelled time is the background, which no segment of
either timeline covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stresnet.evaluation.bootstrap import Estimate, draws, estimated, ratio

TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # thresholds of average precision, as THUMOS'
OVERLAPS = (0.10, 0.25, 0.50)  # of F1
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """A label from `start` to `end`, seconds; if it was found, how sure the network is."""

    start: float
    end: float
    label: str
    score: float = 1.0


@dataclass(frozen=True)
class Judged:
    """The true and the found timeline of one recording, each in order and without overlaps.

    Attributes:
        duration: seconds.
        source: what it was cut from; the bootstrap draws whole sources.
    """

    name: str
    truth: tuple[Span, ...]
    found: tuple[Span, ...]
    duration: float
    source: str


def measure(recordings: Sequence[Judged]) -> Mapping[str, Estimate]:
    """Return every measure, in [0, 1] or seconds, with its 95 % interval over sources.

    A measure that has nothing to measure, such as the onset without a single match, is nan.

    Returns:
        `mAP@0.1` ... `mAP@0.7` and their mean `mAP`; `F1@10`, `F1@25`, `F1@50`; `edit`;
        `frame_accuracy`, `labelled_accuracy`; `onset`, `offset` (seconds).
    """
    sources = sorted({each.source for each in recordings})
    place = np.array([sources.index(each.source) for each in recordings])
    values = _values(recordings, draws(len(sources))[:, place])
    return {name: estimated(of_draws) for name, of_draws in values.items()}


def _values(recordings: Sequence[Judged], weights: Floats) -> dict[str, Floats]:
    """Each measure (R,) with recordings counted `weights` (R, N) times."""
    precision = {f"mAP@{t}": mean_average_precision(recordings, t, weights) for t in TIOU}
    values = precision | {"mAP": np.mean(list(precision.values()), axis=0)}
    for threshold in OVERLAPS:
        counts = np.array([segment_counts(r.found, r.truth, threshold) for r in recordings])
        right, wrong, missed = (weights @ counts).T
        values[f"F1@{threshold * 100:.0f}"] = ratio(2 * right, 2 * right + wrong + missed)
    edits = np.array([edit_score(r.found, r.truth) for r in recordings])
    values["edit"] = ratio(weights @ edits, weights.sum(1))
    times = np.array([times_right(r.found, r.truth, r.duration) for r in recordings])
    right, durations, of_actions, actions = (weights @ times).T
    values["frame_accuracy"] = ratio(right, durations)
    values["labelled_accuracy"] = ratio(of_actions, actions)
    errors = [border_errors(r.found, r.truth) for r in recordings]
    owner = np.repeat(np.arange(len(errors)), [len(each) for each in errors])
    both = np.concatenate([np.zeros((0, 2)), *errors])
    for column, name in enumerate(("onset", "offset")):
        values[name] = _weighted_medians(both[:, column], weights[:, owner])
    return values


def mean_average_precision(
    recordings: Sequence[Judged], threshold: float, weights: Floats | None = None
) -> Floats:
    """(R,) mean over the true classes of interpolated average precision at one tIoU.

    Args:
        weights: (R, N) how often each recording counts; None: once each, R = 1.
    """
    weights = np.ones((1, len(recordings))) if weights is None else weights
    classes = sorted({span.label for each in recordings for span in each.truth})
    precisions = np.full((len(classes), len(weights)), np.nan)
    for row, label in enumerate(classes):
        scores: list[float] = []
        hits: list[bool] = []
        owner: list[int] = []
        true = np.zeros(len(recordings))
        for number, each in enumerate(recordings):
            truth = [span for span in each.truth if span.label == label]
            found = [span for span in each.found if span.label == label]
            true[number] = len(truth)
            hits += _hits(found, truth, threshold)
            scores += [span.score for span in found]
            owner += [number] * len(found)
        order = np.argsort(-np.array(scores), kind="stable")
        counted = weights[:, np.array(owner, int)[order]]
        right = counted * np.array(hits, bool)[order]
        precisions[row] = _average_precision(right, counted, weights @ true)
    # A draw may leave a class without a recording: the mean is then over the others.
    there = np.isfinite(precisions)
    return ratio(np.where(there, precisions, 0).sum(0), there.sum(0).astype(float))


def _hits(found: Sequence[Span], truth: Sequence[Span], threshold: float) -> list[bool]:
    """Whether each found segment is right: the surest ones choose first, the best overlap first."""
    left = set(range(len(truth)))
    hits = [False] * len(found)
    for place in sorted(range(len(found)), key=lambda i: -found[i].score):
        overlaps = {i: overlap(found[place], truth[i]) for i in left}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= threshold:
            left.remove(best)
            hits[place] = True
    return hits


def _average_precision(right: Floats, counted: Floats, true: Floats) -> Floats:
    """(R,) from (R, n) of ranked segments: the area under the highest precision at each recall."""
    rights = np.cumsum(right, axis=1)
    total = np.cumsum(counted, axis=1)
    precision = np.divide(rights, total, out=np.zeros_like(rights), where=total > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return ratio((best * right).sum(1), true)


def segment_counts(
    found: Sequence[Span], truth: Sequence[Span], threshold: float
) -> tuple[int, int, int]:
    """Return how many found segments are right, how many wrong, and how many true ones missed."""
    matched = matches(found, truth, threshold)
    return len(matched), len(found) - len(matched), len(truth) - len(matched)


def matches(
    found: Sequence[Span], truth: Sequence[Span], threshold: float
) -> list[tuple[Span, Span]]:
    """Pairs of a found and a true segment; in time order, each true one taken once."""
    taken: set[int] = set()
    pairs = []
    for span in found:
        overlaps = [overlap(span, true) if true.label == span.label else 0.0 for true in truth]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= threshold and best not in taken:
            taken.add(best)
            pairs.append((span, truth[best]))
    return pairs


def edit_score(found: Sequence[Span], truth: Sequence[Span]) -> float:
    """Return 1 - Levenshtein distance of the two orders of labels / the longer one's length."""
    if not (found or truth):
        return 1.0
    row = list(range(len(truth) + 1))
    for i, span in enumerate(found, 1):
        last, row[0] = row[0], i
        for j, true in enumerate(truth, 1):
            change = last + (span.label != true.label)
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return 1 - row[-1] / max(len(found), len(truth))


def times_right(
    found: Sequence[Span], truth: Sequence[Span], duration: float
) -> tuple[float, float, float, float]:
    """Return seconds right, seconds in all, and both for the time whose true label is an action."""
    right = actions = of_actions = 0.0
    for start, end, label, true in differences(found, truth, duration):
        right += (end - start) * (label == true)
        of_actions += (end - start) * (true is not None and label == true)
        actions += (end - start) * (true is not None)
    return right, duration, of_actions, actions


def differences(
    found: Sequence[Span], truth: Sequence[Span], duration: float
) -> Iterable[tuple[float, float, str | None, str | None]]:
    """Yield (start, end, found label, true label) from 0 to `duration`; None means no label."""
    cuts = {0.0, duration, *(t for span in (*found, *truth) for t in (span.start, span.end))}
    for start, end in pairwise(sorted(cut for cut in cuts if 0 <= cut <= duration)):
        middle = (start + end) / 2
        yield start, end, _label_at(found, middle), _label_at(truth, middle)


def border_errors(found: Sequence[Span], truth: Sequence[Span]) -> Floats:
    """(n, 2) seconds between found and true start, and end, of the pairs that F1@10 counts."""
    pairs = matches(found, truth, OVERLAPS[0])
    errors = [(abs(f.start - t.start), abs(f.end - t.end)) for f, t in pairs]
    return np.array(errors).reshape(-1, 2)


def overlap(a: Span, b: Span) -> float:
    """Intersection over union in time."""
    shared = min(a.end, b.end) - max(a.start, b.start)
    return max(shared, 0.0) / (a.end - a.start + b.end - b.start - max(shared, 0.0))


def _label_at(spans: Sequence[Span], time: float) -> str | None:
    return next((span.label for span in spans if span.start <= time < span.end), None)


def _weighted_medians(values: Floats, weights: Floats) -> Floats:
    """(R,) the median of `values` (n,) counted `weights` (R, n) times; nan where nothing counts."""
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values)
    counts = np.cumsum(weights[:, order], axis=1)
    total = counts[:, -1:]
    # The mean of the two middle ones: the first at or above half, and the first above it.
    low = values[order][(counts >= total / 2).argmax(1)]
    high = values[order][(counts > total / 2).argmax(1)]
    return np.where(total[:, 0] > 0, (low + high) / 2, np.nan)
