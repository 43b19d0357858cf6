"""Calibration: its error, its temperature, and that the temperature never saw a tested video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stresnet.data.prepare import ensure
from stresnet.data.prepare.many import PrepareReport
from stresnet.data.splits.split import Split, VideoItem
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation import calibration
from stresnet.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    calibrate,
    calibration_error,
    calibration_sample,
    fit_temperature,
    reliability,
)
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.protocols import CENTRE_CROP
from stresnet.model import STResNet
from tiny_data import CLASSES, toy_store


def with_confidence(confidence: float) -> list[float]:
    """Scores of two classes, the first with this probability."""
    return [float(np.log(confidence / (1 - confidence))), 0.0]


def drawn(scale: float, videos: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose softmax, once divided by `scale`, is the chance of each class; and a draw."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (videos, 5))
    truth = np.array([rng.choice(5, p=row) for row in softmax(scores)])
    return scores * scale, truth


def test_the_error_by_hand() -> None:
    scores = np.array([with_confidence(0.9)] * 4 + [with_confidence(0.6)] * 2)
    truth = np.array([0, 0, 0, 1, 0, 1])
    low, high = reliability(scores, truth)
    assert (low.videos, high.videos) == (2, 4)
    assert (low.confidence, low.accuracy) == (pytest.approx(0.6), 0.5)
    assert (high.confidence, high.accuracy) == (pytest.approx(0.9), 0.75)
    assert calibration_error((low, high)) == pytest.approx((2 * 0.1 + 4 * 0.15) / 6)


def test_a_certain_score_has_a_bin() -> None:
    (only,) = reliability(np.array([[500.0, 0]]), np.array([0]))
    assert (only.confidence, only.accuracy) == (1, 1)


@pytest.mark.parametrize("scale", [0.4, 1, 3])
def test_the_temperature_is_found_again_and_mends_the_error(scale: float) -> None:
    scores, truth = drawn(scale)
    fitted = fit_temperature(scores, truth)
    assert fitted == pytest.approx(scale, rel=0.05)
    after = calibration_error(reliability(scores / fitted, truth))
    assert after < 0.03
    if scale != 1:
        assert after < calibration_error(reliability(scores, truth)) / 2


def test_the_temperature_is_the_most_likely_one() -> None:
    scores, truth = drawn(2, videos=200)
    fitted = fit_temperature(scores, truth)

    def likelihood(t: float) -> float:
        return float(np.log(softmax(scores / t)[np.arange(200), truth]).sum())

    assert likelihood(fitted) >= max(likelihood(fitted * 1.02), likelihood(fitted / 1.02))


def test_it_has_bounds() -> None:
    right, wrong = np.array([[2.0, 0]]), np.array([[0.0, 2]])
    assert fit_temperature(right, np.array([0])) == pytest.approx(COLDEST, rel=1e-4)
    assert fit_temperature(wrong, np.array([0])) == pytest.approx(HOTTEST, rel=1e-4)
    with pytest.raises(UsageError):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64))


def split_of(train: int, test: int) -> Split:
    def items(first: int, last: int) -> tuple[VideoItem, ...]:
        return tuple(
            VideoItem(Path(f"{label}/{n}"), label, f"{label}/{n}")
            for label in CLASSES
            for n in range(first, last)
        )

    return Split(CLASSES, items(0, train), items(train, train + test))


def test_the_sample_is_of_training_videos_and_the_same_everywhere() -> None:
    split = split_of(150, 50)
    sample = calibration_sample(split)
    assert len(sample) == 200
    assert not {item.name for item in sample} & {item.name for item in split.test}
    shuffled = Split(CLASSES, split.train[::-1], ())
    assert calibration_sample(shuffled) == sample
    assert {item.label for item in sample} == set(CLASSES)


def test_a_split_that_trains_on_tested_videos_is_refused() -> None:
    split = split_of(2, 2)
    with pytest.raises(DatasetError, match="training and a test video"):
        calibration_sample(Split(CLASSES, split.train + split.test[:1], split.test))
    with pytest.raises(DatasetError, match="no training videos"):
        calibration_sample(Split(CLASSES, (), split.test))


def test_the_temperature_never_sees_a_tested_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no test videos on disk, and every video that is scored is a training video."""
    toy_store(tmp_path, videos=2)
    monkeypatch.setattr(ensure, "prepare", nothing_to_prepare)
    scored: list[str] = []
    score = calibration.score_videos

    def spy(net: STResNet, videos: ensure.PreparedVideos, **options: object) -> object:
        scored.extend(item.name for item in videos.items)
        return score(net, videos, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(calibration, "score_videos", spy)
    torch.manual_seed(0)
    net = STResNet(2, "tiny", input_size=32).eval()
    net.class_names = CLASSES
    split = split_of(2, 2)
    fitted = calibrate(net, split, tmp_path, protocol=CENTRE_CROP)
    assert sorted(scored) == sorted(item.name for item in split.train)
    assert fitted[1] == tuple(scored)

    without = Split(CLASSES, split.train, ())
    assert calibrate(net, without, tmp_path, protocol=CENTRE_CROP) == fitted


def nothing_to_prepare(videos: list[tuple[Path, str]], store: Path, **options: object) -> object:
    """In place of `prepare`, for stores that a test has made."""
    return PrepareReport((), tuple(name for _, name in videos), ())
