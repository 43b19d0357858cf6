"""The measures of timelines, against direct implementations and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stresnet.timelines.measures import (
    OVERLAPS,
    TIOU,
    Judged,
    Span,
    border_errors,
    edit_score,
    matches,
    mean_average_precision,
    measure,
    segment_counts,
    times_right,
)

STEP = 0.1  # seconds; random timelines change at multiples of it


def random_timeline(rng: np.random.Generator, cells: int) -> list[Span]:
    """Segments of three classes and gaps, 1 to 30 cells long."""
    spans, at = [], 0
    while at < cells:
        length = min(int(rng.integers(1, 30)), cells - at)
        if label := ("", "a", "b", "c")[rng.integers(4)]:
            spans.append(Span(at * STEP, (at + length) * STEP, label, float(rng.random())))
        at += length
    return spans


def random_recording(seed: int) -> Judged:
    rng = np.random.default_rng(seed)
    cells = int(rng.integers(100, 200))
    truth = random_timeline(rng, cells)
    found = random_timeline(rng, cells)
    if seed % 2:  # near the truth, so that thresholds matter
        found = [
            Span(s.start, s.end - STEP * rng.integers(0, 3) * (s.end - s.start > 0.4), s.label,
                 float(rng.random()))
            for s in truth if rng.random() < 0.8
        ]  # fmt: skip
    return Judged(f"r{seed}", tuple(truth), tuple(found), cells * STEP, f"s{seed // 2}")


RECORDINGS = [random_recording(seed) for seed in range(8)]


# --------------------------------------------------------------------------------------------
# Direct implementations: one loop after the other, as the definitions read
# --------------------------------------------------------------------------------------------


def labels_of_frames(spans: tuple[Span, ...], duration: float) -> list[str]:
    labels = [""] * round(duration / STEP)
    for span in spans:
        for cell in range(round(span.start / STEP), round(span.end / STEP)):
            labels[cell] = span.label
    return labels


def iou_of_cells(a: Span, b: Span) -> float:
    first = {*range(round(a.start / STEP), round(a.end / STEP))}
    second = {*range(round(b.start / STEP), round(b.end / STEP))}
    return len(first & second) / len(first | second)


def direct_map(recordings: list[Judged], threshold: float) -> float:
    """As the ActivityNet toolkit describes it: one ranked list over all videos."""
    precisions = []
    for label in sorted({t.label for r in recordings for t in r.truth}):
        ranked = sorted(
            ((f, r) for r in recordings for f in r.found if f.label == label),
            key=lambda pair: -pair[0].score,
        )
        positives = sum(t.label == label for r in recordings for t in r.truth)
        used: set[tuple[str, int]] = set()
        hits = []
        for found, recording in ranked:
            truth = [t for t in recording.truth if t.label == label]
            by_overlap = sorted(range(len(truth)), key=lambda i: -iou_of_cells(found, truth[i]))
            hit = False
            for i in by_overlap:
                if iou_of_cells(found, truth[i]) < threshold - 1e-9:
                    break
                if (recording.name, i) not in used:
                    used.add((recording.name, i))
                    hit = True
                    break
            hits.append(hit)
        points = [(sum(hits[:n]) / positives, sum(hits[:n]) / n) for n in range(1, len(hits) + 1)]
        area, reached = 0.0, 0.0
        for recall, _ in points:
            if recall > reached:
                area += (recall - reached) * max(p for r, p in points if r >= recall)
                reached = recall
        precisions.append(area)
    return float(np.mean(precisions))


def runs(labels: list[str]) -> list[tuple[str, int, int]]:
    """Cells -> (label, first, after the last), without the background, as MS-TCN's code does."""
    found, start = [], 0
    for at in range(1, len(labels) + 1):
        if at == len(labels) or labels[at] != labels[start]:
            if labels[start]:
                found.append((labels[start], start, at))
            start = at
    return found


def direct_f1(recordings: list[Judged], threshold: float) -> float:
    tp = fp = fn = 0
    for each in recordings:
        truth = [(t.label, round(t.start / STEP), round(t.end / STEP)) for t in each.truth]
        used = [False] * len(truth)
        for found in each.found:
            label, first, last = found.label, round(found.start / STEP), round(found.end / STEP)
            ious = []
            for t_label, t_first, t_last in truth:
                shared = max(0, min(last, t_last) - max(first, t_first))
                union = max(last, t_last) - min(first, t_first)
                ious.append(shared / union if shared and t_label == label else 0.0)
            best = max(range(len(ious)), key=ious.__getitem__) if ious else 0
            if ious and ious[best] >= threshold - 1e-9 and not used[best]:
                tp, used[best] = tp + 1, True
            else:
                fp += 1
        fn += used.count(False)
    return 2 * tp / (2 * tp + fp + fn)


def direct_edit(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(
        direct_edit(a[:-1], b) + 1,
        direct_edit(a, b[:-1]) + 1,
        direct_edit(a[:-1], b[:-1]) + (a[-1] != b[-1]),
    )


@pytest.mark.parametrize("threshold", TIOU)
def test_average_precision_is_that_of_one_ranked_list(threshold: float) -> None:
    (found,) = mean_average_precision(RECORDINGS, threshold - 1e-9)
    assert found == pytest.approx(direct_map(RECORDINGS, threshold))
    assert 0 < found < 1


@pytest.mark.parametrize("threshold", OVERLAPS)
def test_f1_is_that_of_the_definition(threshold: float) -> None:
    counts = np.array([segment_counts(r.found, r.truth, threshold - 1e-9) for r in RECORDINGS])
    right, wrong, missed = counts.sum(0)
    assert 2 * right / (2 * right + wrong + missed) == pytest.approx(
        direct_f1(RECORDINGS, threshold)
    )


def test_frame_accuracies_are_those_of_single_frames() -> None:
    for each in RECORDINGS:
        found = np.array(labels_of_frames(each.found, each.duration))
        truth = np.array(labels_of_frames(each.truth, each.duration))
        right, seconds, of_actions, actions = times_right(each.found, each.truth, each.duration)
        assert right / seconds == pytest.approx((found == truth).mean())
        assert of_actions / actions == pytest.approx((found == truth)[truth != ""].mean())


def test_the_edit_score_is_that_of_the_recursive_definition() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b = (["abc"[k] for k in rng.integers(3, size=rng.integers(0, 7))] for _ in range(2))
        spans = [[Span(i, i + 1, label) for i, label in enumerate(each)] for each in (a, b)]
        expected = 1 - direct_edit(a, b) / max(len(a), len(b), 1)
        assert edit_score(*spans) == pytest.approx(expected)


# --------------------------------------------------------------------------------------------
# Worked by hand
# --------------------------------------------------------------------------------------------

TRUTH = (Span(0, 10, "walk"), Span(10, 20, "run"), Span(30, 40, "walk"))
#        IoU 0.8              IoU 1 / 3                wrong class          unmatched: taken already
FOUND = (Span(0, 8, "walk", 0.9), Span(15, 25, "run", 0.8), Span(30, 40, "run", 0.7))


def test_a_case_worked_by_hand() -> None:
    recording = Judged("r", TRUTH, FOUND, 50.0, "r")
    found = measure([recording])
    # walk: 1 of 2 found, precision 1 up to there: 0.5. run: right first, then wrong: 1 at 0.3.
    assert found["mAP@0.3"].value == pytest.approx(0.75)
    assert found["mAP@0.4"].value == pytest.approx(0.25)  # run: nothing right
    assert found["F1@25"].value == pytest.approx(2 / 3)  # 2 right, 1 wrong, 1 missed
    assert found["F1@50"].value == pytest.approx(1 / 3)
    assert found["edit"].value == pytest.approx(2 / 3)  # walk run run -> walk run walk
    # right: 0-8, 15-20, 25-30, 40-50 of 50 s; of 30 s of actions 13
    assert found["frame_accuracy"].value == pytest.approx(28 / 50)
    assert found["labelled_accuracy"].value == pytest.approx(13 / 30)
    assert found["onset"].value == pytest.approx(2.5)  # 0 and 5
    assert found["offset"].value == pytest.approx(3.5)  # 2 and 5


def test_one_found_segment_counts_once() -> None:
    truth = (Span(0, 10, "a"),)
    twice = (Span(0, 5, "a"), Span(5, 10, "a"))
    assert segment_counts(twice, truth, 0.5) == (1, 1, 0)
    assert len(matches(twice, truth, 0.1)) == 1
    assert border_errors(twice, truth).tolist() == [[0.0, 5.0]]


def test_a_perfect_timeline_has_every_measure_at_its_best() -> None:
    found = measure([Judged("r", TRUTH, TRUTH, 50.0, "r")])
    for name, each in found.items():
        assert each.value == (0.0 if name in ("onset", "offset") else 1.0), name


def test_nothing_found_where_something_is() -> None:
    found = measure([Judged("r", TRUTH, (), 50.0, "r")])
    assert found["mAP"].value == found["F1@10"].value == found["edit"].value == 0
    assert found["frame_accuracy"].value == pytest.approx(20 / 50)
    assert math.isnan(found["onset"].value)


def test_the_intervals_are_over_sources_and_hold_the_value() -> None:
    found = measure(RECORDINGS)
    for name, each in found.items():
        assert each.low <= each.value <= each.high, name
    one = measure([RECORDINGS[1]] * 2)  # one source: there is nothing to draw
    assert one["F1@50"].low == one["F1@50"].high == one["F1@50"].value


def test_a_recording_counted_twice_is_two_recordings() -> None:
    weights = np.array([[2.0, *[1.0] * 7]])
    import dataclasses

    twice = [*RECORDINGS, dataclasses.replace(RECORDINGS[0], name="again")]
    weighted = mean_average_precision(RECORDINGS, 0.3, weights)[0]
    assert weighted == pytest.approx(mean_average_precision(twice, 0.3)[0], abs=0.02)
