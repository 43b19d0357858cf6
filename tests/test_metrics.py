"""Metrics on scores small enough to count by hand, and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from stresnet.evaluation.bootstrap import estimate
from stresnet.evaluation.comparison import EvaluationResult
from stresnet.evaluation.metrics import (
    class_accuracies,
    confusion,
    mean_class_accuracy,
    softmax,
    top_k_accuracy,
)
from stresnet.evaluation.paper_numbers import benchmark_of, table_3, table_4
from stresnet.evaluation.report.summary import confused_pairs, hardest_videos

SCORES = np.array([[3.0, 1, 0], [2, 5, 1], [4, 3, 0], [0, 2, 1]])
TRUTH = np.array([0, 1, 1, 2])


def test_accuracies() -> None:
    assert top_k_accuracy(SCORES, TRUTH) == 2 / 4
    assert top_k_accuracy(SCORES, TRUTH, k=2) == 1
    assert class_accuracies(SCORES, TRUTH).tolist() == [1, 1 / 2, 0]
    assert mean_class_accuracy(SCORES, TRUTH) == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_a_class_without_videos_does_not_count() -> None:
    assert mean_class_accuracy(SCORES[:2], TRUTH[:2]) == 1
    assert np.isnan(class_accuracies(SCORES[:2], TRUTH[:2])[2])


def test_confusion_has_the_truth_in_its_rows() -> None:
    assert confusion(SCORES, TRUTH).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_softmax_sums_to_one_and_survives_large_scores() -> None:
    probabilities = softmax(np.array([1000.0, 1000.0, -1000.0]))
    assert probabilities == pytest.approx([0.5, 0.5, 0])


def of_hits(hits: list[bool], sources: list[str]) -> EvaluationResult:
    """Videos of one class, right or wrong."""
    scores = np.array([[1.0, 0] if hit else [0, 1.0] for hit in hits])
    return scored(scores, np.zeros(len(hits), np.int64), sources)


def scored(scores: np.ndarray, truth: np.ndarray, sources: list[str]) -> EvaluationResult:
    names = tuple(f"{n}.avi" for n in range(len(truth)))
    return EvaluationResult((), names, truth, {"fused": scores}, sources=tuple(sources))


def test_the_bootstrap_of_independent_videos_is_the_binomial_s() -> None:
    hits = [number % 4 > 0 for number in range(400)]
    found = estimate([of_hits(hits, [str(n) for n in range(400)])])["top1"]
    deviation = (0.75 * 0.25 / 400) ** 0.5
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 1.96 * deviation, abs=0.006)
    assert found.high == pytest.approx(0.75 + 1.96 * deviation, abs=0.006)


@pytest.mark.parametrize(("sources", "lowest"), [(1, 0.025), (5, 0.478), (50, 0.929)])
def test_all_right_on_few_sources_proves_little(sources: int, lowest: float) -> None:
    names = [str(n % sources) for n in range(100)]
    right = estimate([of_hits([True] * 100, names)])["top1"]
    assert (right.value, right.high) == (1, 1)
    assert right.low == pytest.approx(lowest, abs=5e-4)
    wrong = estimate([of_hits([False] * 100, names)])["top1"]
    assert (wrong.value, wrong.low) == (0, 0)
    assert wrong.high == pytest.approx(1 - lowest, abs=5e-4)


def test_four_copies_of_a_source_tell_no_more_than_one() -> None:
    hits, names = [True, False, True, True, False], list("abcde")
    alone = estimate([of_hits(hits, names)])
    copied = estimate([of_hits(hits * 4, names * 4)])
    apart = estimate([of_hits(hits * 4, [f"{name}{n}" for n in range(4) for name in names])])
    assert copied == alone
    assert apart["top1"].high - apart["top1"].low < copied["top1"].high - copied["top1"].low


def test_networks_on_the_same_videos_are_compared_video_by_video() -> None:
    names = [str(n) for n in range(400)]
    hits = [number % 4 > 0 for number in range(400)]
    better = [hit or number % 40 == 0 for number, hit in enumerate(hits)]  # 10 more
    gain = estimate([of_hits(better, names)], above=[of_hits(hits, names)])["top1"]
    deviation = (0.025 * 0.975 / 400) ** 0.5
    assert gain.value == pytest.approx(0.025)
    assert gain.low == pytest.approx(0.025 - 1.96 * deviation, abs=0.004)
    assert gain.high == pytest.approx(0.025 + 1.96 * deviation, abs=0.004)
    alone = estimate([of_hits(better, names)])["top1"]
    assert gain.high - gain.low < (alone.high - alone.low) / 2
    none = estimate([of_hits(hits, names)], above=[of_hits(hits, names)])["top1"]
    assert (none.value, none.low, none.high) == (0, 0, 0)


def test_several_folds_give_the_mean_of_their_accuracies() -> None:
    folds = [of_hits([True] * 9 + [False], list("abcdefghij")), of_hits([False], ["k"])]
    found = estimate(folds)
    assert found["top1"].value == pytest.approx((0.9 + 0) / 2)
    assert found["mean_class"].value == pytest.approx(0.45)
    assert found["top5"].value == 1
    assert found["top1"].low <= 0.45 <= found["top1"].high
    assert estimate(folds) == found


def test_estimates_are_the_metrics() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(60, 9)), rng.integers(0, 8, 60)
    found = estimate([scored(scores, truth, [])])
    assert found["top1"].value == pytest.approx(top_k_accuracy(scores, truth))
    assert found["top5"].value == pytest.approx(top_k_accuracy(scores, truth, 5))
    assert found["mean_class"].value == pytest.approx(mean_class_accuracy(scores, truth))
    assert all(each.low <= each.value <= each.high for each in found.values())


def test_confused_pairs_come_with_their_surest_example() -> None:
    scores = np.array([[0.0, 1], [0, 5], [0, 2], [1, 0], [3, 0], [0, 1]])
    truth = np.array([0, 0, 0, 0, 1, 1])
    first, second = confused_pairs(scores, truth, "abcdef", "xy")
    expected = {"true": "x", "predicted": "y", "videos": 3, "share": 0.75, "example": "b"}
    assert first == expected
    assert (second["true"], second["predicted"], second["example"]) == ("y", "x", "e")
    assert len(confused_pairs(scores, truth, "abcdef", "xy", most=1)) == 1


def test_the_hardest_video_has_the_least_probable_truth() -> None:
    hardest, next_one = hardest_videos(SCORES, TRUTH, "abcdef", "xyz", most=2)
    assert (hardest["name"], hardest["true"], hardest["predicted"]) == ("d", "z", "y")
    assert hardest["of_truth"] == pytest.approx(softmax(SCORES)[3, 2])
    assert next_one["of_truth"] >= hardest["of_truth"]


def test_the_paper_s_numbers_are_for_the_paper_s_data_sets_only() -> None:
    ucf = ["ApplyEyeMakeup", "HandStandPushups", "YoYo", *(f"class {n}" for n in range(98))]
    hmdb = ["brush_hair", "shoot_bow", "wave", *(f"class {n}" for n in range(48))]
    assert (benchmark_of(ucf), benchmark_of(hmdb)) == ("UCF101", "HMDB51")
    assert benchmark_of(ucf[:-1]) is None
    assert benchmark_of([f"class {n}" for n in range(101)]) is None
    assert table_3("UCF101", "ST-ResNet*", "fused") == 93.46
    assert table_3("HMDB51", "two-stream", "motion") == 55.47
    assert table_3("UCF101", "ST-ResNet*", "motion") is None
    assert table_3(None, "ST-ResNet*", "fused") is None
    assert table_4("HMDB51")["ST-ResNet* + IDT"] == 70.3
    assert table_4(None) == {}
