"""Scores of windows -> segments; spliced videos with known boundaries."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from making_videos import moving_texture, write_video
from stresnet.errors import UsageError, VideoError
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.metrics import softmax
from stresnet.flow import FAST
from stresnet.model import STResNet
from stresnet.prediction import recognise, recogniser
from stresnet.prediction.outputs import to_csv, to_srt, to_vtt
from stresnet.prediction.recognise import predict, timeline
from stresnet.prediction.result import Prediction, Timeline, TimelineSettings
from stresnet.prediction.segments import Segment, best_labelling, borders_between, smoothed
from stresnet.prediction.windows import Window
from stresnet.progress import Progress

FPS = 8


@pytest.fixture(scope="module")
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=32)
    built.class_names = ("right", "left")
    return built.eval()


@pytest.fixture
def knows_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a trained network: scores by the mean horizontal motion."""

    def score(net, video, **_):  # type: ignore[no-untyped-def]
        fields = video.flow(np.arange(max(video.num_frames - 1, 1)))
        x = fields[:, 0].astype(np.float32).mean() - 128
        scores = np.array([x, -x], np.float32)
        return VideoScores(scores, scores)

    monkeypatch.setattr(recogniser, "score_video", score)


def spliced(*seconds: int) -> np.ndarray:
    """Texture that moves right, left, right, ... by 2 px of 64 a frame."""
    parts = [
        moving_texture(FPS * lasting, 64, 64, step=(2 if number % 2 == 0 else -2, 0), seed=number)
        for number, lasting in enumerate(seconds)
    ]
    return np.concatenate(parts)


def made(fused: np.ndarray, **settings: object) -> Timeline:
    """A timeline of windows of 1 s, one every 0.5 s."""
    starts = 0.5 * np.arange(len(fused))
    scores = np.asarray(fused, np.float32)
    return Timeline("clip.mp4", ("a", "b", "c")[: scores.shape[1]], starts, starts + 1, scores,
                    scores, float(starts[-1] + 1), (), TimelineSettings(**settings))  # type: ignore[arg-type]  # fmt: skip


# ---------------------------------------------------------------- segments


@pytest.mark.parametrize("seed", range(8))
def test_the_labelling_is_the_best_of_all(seed: int) -> None:
    """Against every labelling of 7 cells by 3 classes, one after the other."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (7, 3))
    borders = np.concatenate([[0.0], np.cumsum(rng.uniform(0.3, 1.0, 7))])
    gains = np.log(softmax(scores)) * np.diff(borders)[:, None]
    best, expected = -np.inf, None
    for labels in itertools.product(range(3), repeat=7):
        runs = [list(run) for _, run in itertools.groupby(range(7), key=lambda i: labels[i])]
        spans = [(run[0], run[-1] + 1, labels[run[0]]) for run in runs]
        if min(borders[after] - borders[first] for first, after, _ in spans) >= 1.2:
            total = sum(gains[first:after, k].sum() for first, after, k in spans)
            if total > best:
                best, expected = total, spans
    assert best_labelling(scores, borders, 1.2) == expected


def test_without_a_minimum_duration_each_cell_has_its_best_class() -> None:
    scores = np.random.default_rng(0).normal(size=(30, 4))
    labels = np.empty(30, int)
    for first, after, k in best_labelling(scores, np.arange(31.0), 0.0):
        labels[first:after] = k
    np.testing.assert_array_equal(labels, scores.argmax(1))


def test_a_flicker_needs_to_pay_for_itself() -> None:
    """One window of another class is taken as noise; one that is sure enough is kept longer."""
    scores = np.tile([2.0, 0.0], (15, 1))
    scores[7] = [0.0, 2.0]
    assert [s.label for s in made(scores, smooth=0, min_duration=0).segments] == ["a", "b", "a"]
    assert [s.label for s in made(scores, smooth=0, min_duration=2).segments] == ["a"]
    assert [s.label for s in made(scores, smooth=1.5, min_duration=0).segments] == ["a"]
    scores[7] = [0.0, 12.0]
    kept = made(scores, smooth=0, min_duration=2).segments
    assert [s.label for s in kept] == ["a", "b", "a"]
    assert all(s.end - s.start >= 2 - 1e-9 for s in kept)


def test_no_segment_is_shorter_than_asked() -> None:
    rng = np.random.default_rng(1)
    for lasting in (0.5, 1.0, 2.3):
        found = made(rng.normal(size=(60, 3)), smooth=0, min_duration=lasting)
        assert min(s.end - s.start for s in found.segments) >= lasting - 1e-6
        assert (found.segments[0].start, found.segments[-1].end) == (0.0, found.duration)
        joined = itertools.pairwise(found.segments)
        assert all(a.end == b.start and a.label != b.label for a, b in joined)
    (one,) = made(rng.normal(size=(3, 3)), min_duration=10).segments
    assert (one.start, one.end) == (0.0, 2.0)


def test_smoothing_is_a_centred_mean() -> None:
    scores = np.arange(12.0).reshape(6, 2) ** 2
    times = np.array([0.0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(smoothed(scores, times, 0.0), scores)
    mean = smoothed(scores, times, 2.0)
    np.testing.assert_allclose(mean[2], scores[1:4].mean(0))
    np.testing.assert_allclose(mean[0], scores[:2].mean(0))
    np.testing.assert_allclose(smoothed(scores, times, 99.0), np.tile(scores.mean(0), (6, 1)))


def test_borders_lie_between_the_windows() -> None:
    assert borders_between(np.array([1.0, 2.0, 2.5]), 0.5, 3.5).tolist() == [0.5, 1.5, 2.25, 3.5]


# ---------------------------------------------------------------- videos


def test_no_segment_covers_time_without_pictures() -> None:
    """Pictures from 0 to 4 and from 20 to 24 s."""
    starts = np.array([0, 1, 2, 3, 20, 21, 22, 23], float)
    scores = np.repeat(np.array([[9, 0], [0, 9]], np.float32), 4, axis=0)
    settings = TimelineSettings(window=1, stride=1, smooth=0, min_duration=1)
    found = Timeline("a", ("a", "b"), starts, starts + 1, scores, scores, 24, (), settings)
    assert [(s.start, s.end, s.label) for s in found.segments] == [(0, 4, "a"), (20, 24, "b")]
    same = np.repeat(scores[:1], 8, axis=0)
    found = Timeline("a", ("a", "b"), starts, starts + 1, same, same, 24, (), settings)
    assert [(s.start, s.end, s.label) for s in found.segments] == [(0, 4, "a"), (20, 24, "a")]


@pytest.mark.usefixtures("knows_motion")
def test_known_boundaries_are_found(net: STResNet) -> None:
    settings = TimelineSettings(window=1.0, stride=0.25, smooth=0.5, min_duration=1.0)
    found = timeline(net, spliced(3, 2, 3), settings, fps=FPS, flow=FAST)
    assert [s.label for s in found.segments] == ["right", "left", "right"]
    borders = [s.start for s in found.segments] + [found.duration]
    assert borders == pytest.approx([0, 3, 5, 8], abs=0.3)
    assert found.label == "right"
    assert all(0.5 < s.score <= 1 for s in found.segments)
    assert found.scores.shape == (len(found.times), 2)


@pytest.mark.usefixtures("knows_motion")
def test_a_file_has_its_own_times_and_progress(net: STResNet, tmp_path: Path) -> None:
    """The first half at 8 frames/s, the second at 4: boundaries are in seconds, not in frames."""
    frames = spliced(2, 1)
    times = np.concatenate([np.arange(16) / 8, 2 + np.arange(8) / 4])
    video = write_video(tmp_path / "clip.mkv", frames, times=times.tolist())
    reports: list[Progress] = []
    found = timeline(net, video, TimelineSettings(1.0, 0.25, 0.5, 1.0, background="right"),
                     flow=FAST, on_progress=reports.append)  # fmt: skip
    (segment,) = found.segments
    assert segment.label == "left"
    assert (segment.start, segment.end) == pytest.approx((2.0, 4.0), abs=0.4)
    assert found.source == str(video)
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert done[-1] == found.duration
    assert all(report.total == pytest.approx(4.0, abs=0.3) for report in reports)
    said = json.loads(json.dumps(found.as_dict(windows=True)))
    assert [each["label"] for each in said["segments"]] == ["left"]
    assert said["predictions"][0]["score"] >= 0.5
    assert len(said["windows"]["scores"]["left"]) == len(said["windows"]["times"])


@pytest.mark.usefixtures("knows_motion")
def test_what_progress_raises_ends_the_work(net: STResNet) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timeline(net, spliced(3), fps=FPS, flow=FAST, on_progress=stop)


def test_the_slower_stage_alone_sets_the_pace(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten windows that take 0.1 s to make and 0.1 s to score: not two seconds, but hardly more
    than one."""

    def windows(*_: object) -> Iterator[Window]:
        for number in range(10):
            time.sleep(0.1)
            yield Window(number, number + 1, None)  # type: ignore[arg-type]

    def score(*_: object, **__: object) -> VideoScores:
        time.sleep(0.1)
        return VideoScores(np.zeros(2, np.float32), np.zeros(2, np.float32))

    monkeypatch.setattr(recognise, "windows_of", windows)
    monkeypatch.setattr(recogniser, "score_video", score)
    began = time.monotonic()
    timeline(net, np.zeros((2, 8, 8, 3), np.uint8))
    assert time.monotonic() - began < 1.6


def test_a_short_video_s_timeline_is_its_prediction(net: STResNet) -> None:
    frames = spliced(1)
    settings = TimelineSettings(window=5.0)
    found = timeline(net, frames, settings, fps=FPS)
    assert found.predictions == predict(net, frames, fps=FPS).predictions
    by_paper = timeline(net, frames, settings, fps=FPS, protocol="paper").predictions
    assert by_paper == predict(net, frames, fps=FPS, protocol="paper").predictions
    assert by_paper != found.predictions
    (segment,) = found.segments
    assert segment.label == found.label
    assert segment.score == found.predictions[0].score


def test_arguments_that_make_no_sense(net: STResNet, tmp_path: Path) -> None:
    for wrong in ({"window": 0.0}, {"stride": -1.0}, {"smooth": -0.1}, {"min_duration": 1e9}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            TimelineSettings(**wrong)
    with pytest.raises(UsageError, match="right, left"):
        timeline(net, spliced(1), TimelineSettings(background="up"))
    with pytest.raises(VideoError, match="cannot be read"):
        timeline(net, tmp_path / "nothing.mp4")


# ---------------------------------------------------------------- outputs

SEGMENTS = (
    Segment(0.0, 61.5, "wash <hands>", 0.91, 0.8, 0.95),
    Segment(3661.0, 3662.25, "a --> b\nc", 0.5, 0.5, 0.5),
)


def test_subtitles() -> None:
    assert to_srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:01:01,500\nwash <hands> (91%)\n\n"
        "2\n01:01:01,000 --> 01:01:02,250\na → b c (50%)\n"
    )
    assert to_vtt(SEGMENTS) == (
        "WEBVTT\n\n00:00:00.000 --> 00:01:01.500\nwash &lt;hands&gt; (91%)\n\n"
        "01:01:01.000 --> 01:01:02.250\na → b c (50%)\n"
    )
    assert (to_srt(()), to_vtt(())) == ("", "WEBVTT\n")


def test_a_table_of_segments_and_of_whole_videos() -> None:
    found = made(np.array([[3.0, 0.0]] * 4 + [[0.0, 3.0]] * 4), min_duration=1, smooth=0)
    scores = tuple(found.predictions)
    whole = Prediction("=cmd.mp4", scores, 2.0, (), start=4.0)
    rows = list(csv.DictReader(io.StringIO(to_csv([found, whole], top_k=1))))
    assert [(row["source"], row["start"], row["end"], row["rank"], row["label"]) for row in rows] \
        == [("clip.mp4", "0.000", "2.250", "1", "a"), ("clip.mp4", "2.250", "4.500", "1", "b"),
            ("'=cmd.mp4", "4.000", "6.000", "1", scores[0].label)]  # fmt: skip
    assert float(rows[0]["score"]) == pytest.approx(found.segments[0].score, abs=1e-4)
