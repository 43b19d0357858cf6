"""How a long video becomes windows, and that a window is what cutting it out would give."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stresnet.data.prepare.ahead as prepared_ahead
from making_videos import moving_texture, write_video
from stresnet.data.prepare.one import prepare_frames
from stresnet.data.video.decode import frames_of_array
from stresnet.errors import VideoError
from stresnet.flow import FAST
from stresnet.model import STResNet
from stresnet.prediction import windows as windows_module
from stresnet.prediction.recognise import predict, recognise_each, timeline
from stresnet.prediction.result import Prediction, TimelineSettings
from stresnet.prediction.windows import sliding, windows_of_frames, windows_of_store

FPS = 10


def steady(seconds: float, fps: int = FPS) -> list[tuple[float, int]]:
    return [(k / fps, k) for k in range(round(seconds * fps))]


@pytest.fixture(scope="module")
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=32)
    torch.nn.init.normal_(built.appearance.classifier.weight)
    torch.nn.init.normal_(built.motion.classifier.weight)
    built.class_names = ("left", "right")
    return built.eval()


def test_windows_begin_every_stride_and_the_last_one_ends_with_the_video() -> None:
    parts = list(sliding(steady(2.7), 1.0, 0.5))
    assert [start for start, _, _ in parts] == pytest.approx([0.0, 0.5, 1.0, 1.5, 1.7])
    assert [end for _, end, _ in parts] == pytest.approx([1.0, 1.5, 2.0, 2.5, 2.7])
    assert all(len(items) == 10 for _, _, items in parts)
    assert parts[1][2] == list(range(5, 15))
    assert parts[-1][2] == list(range(17, 27))


def test_what_fits_exactly_is_not_seen_twice() -> None:
    assert [start for start, _, _ in sliding(steady(2.0), 1.0, 0.5)] == [0.0, 0.5, 1.0]


def test_a_short_video_is_one_window_and_none_is_none() -> None:
    ((start, end, items),) = sliding(steady(0.4), 1.0, 0.5)
    assert (start, items) == (0.0, [0, 1, 2, 3])
    assert end == pytest.approx(0.4)
    ((start, end, items),) = sliding([(0.0, "only")], 1.0, 0.5)
    assert (start, end, items) == (0.0, 0.04, ["only"])
    assert not list(sliding([], 1.0, 0.5))


def test_a_video_that_begins_later_has_the_same_windows_later() -> None:
    late = list(sliding(((4.0 + time, item) for time, item in steady(2.7)), 1.0, 0.5))
    for (start, end, items), (expected, until, same) in zip(
        late, sliding(steady(2.7), 1.0, 0.5), strict=True
    ):
        assert (start, end) == pytest.approx((4 + expected, 4 + until))
        assert items == same


def test_a_gap_in_time_is_stepped_over() -> None:
    times = [0.0, 0.1, 0.2, 1e9, 1e9 + 0.1, 1e9 + 3.0]
    parts = list(sliding(zip(times, count(), strict=False), 1.0, 0.5))
    assert len(parts) < 10
    assert {item for _, _, items in parts for item in items} == set(range(6))
    # No part lasts longer than its pictures are shown.
    assert [end for start, end, _ in parts if start < 1] == [pytest.approx(0.3)]


def test_a_slow_picture_is_shown_until_the_next_one() -> None:
    times = 60 * np.arange(6.0)
    parts = list(sliding(zip(times.tolist(), count(), strict=False), 2.0, 0.5))
    assert {end for start, end, _ in parts if 60 <= start < 240} == {120, 180, 240}


def test_too_many_frames_in_a_window_end_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "MAX_FRAMES_OF_WINDOW", 15)
    assert list(sliding(steady(3), 1.0, 0.5))
    with pytest.raises(VideoError, match="shorter window"):
        list(sliding(steady(3, fps=20), 1.0, 0.5))


@given(
    st.lists(st.floats(0.01, 1.5), min_size=1, max_size=40),
    st.sampled_from([0.3, 1.0, 2.0]),
    st.sampled_from([0.2, 0.5, 1.0, 3.0]),
)
def test_windows_hold_what_lies_in_them(steps: list[float], length: float, stride: float) -> None:
    """Whatever the times are; and with strides of a length or less, all items are seen."""
    times = np.cumsum([0.0, *steps])
    seen = set()
    for start, end, items in sliding(zip(times, count(), strict=False), length, stride):
        expected = np.flatnonzero((times >= start - 1e-6) & (times < end + 1e-6))
        assert set(items) <= set(expected)
        assert set(items) >= set(np.flatnonzero((times >= start) & (times < end - 1e-5)))
        assert end - start <= length + max(steps)
        seen |= set(items)
    assert len(times) - 1 in seen
    if stride <= length:
        assert seen == set(range(len(times)))


def test_a_window_is_bitwise_the_clip_cut_out(net: STResNet, tmp_path: Path) -> None:
    frames = moving_texture(20, 64, 64)
    settings = TimelineSettings(window=1.0, stride=0.5)
    found = timeline(net, frames, settings, fps=FPS)
    assert found.starts.tolist() == [0.0, 0.5, 1.0]
    for number, start in enumerate((0, 5, 10)):
        alone = predict(net, frames[start : start + 10], fps=FPS)
        window = timeline(net, frames[start : start + 10], settings, fps=FPS)
        np.testing.assert_array_equal(window.appearance[0], found.appearance[number])
        np.testing.assert_array_equal(window.motion[0], found.motion[number])
        assert window.predictions == alone.predictions
    stored = prepare_frames(frames, tmp_path / "video.zip", fps=FPS)
    from_store = timeline(net, stored, settings)
    np.testing.assert_array_equal(from_store.appearance, found.appearance)
    np.testing.assert_array_equal(from_store.motion, found.motion)
    assert from_store.segments == found.segments
    assert (from_store.source, found.source) == ("array", "array")


def test_a_single_frame_does_not_move(tmp_path: Path) -> None:
    frames = moving_texture(3, 64, 64)
    stored = prepare_frames(frames, tmp_path / "video.zip", fps=1, parameters=FAST)
    length = {"length": 0.5, "stride": 1.0}
    streamed = windows_of_frames(frames_of_array(frames, fps=1), flow=FAST, **length)
    for window in [*windows_of_store(stored, **length), *streamed]:
        assert window.video.num_frames == 1
        assert (window.video.flow(np.array([0, 0])) == 128).all()
        assert window.video.frames(np.array([0])).shape == (1, 256, 256, 3)


def test_many_videos_come_in_order_and_leaving_ends_the_preparation(
    net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write_video(tmp_path / "good.mp4", moving_texture(3, 64, 64))
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    pairs = list(recognise_each(net, [good, broken, good], flow=FAST, protocol="quick", workers=0))
    assert [path for path, _ in pairs] == [good, broken, good]
    first, error, last = (found for _, found in pairs)
    assert isinstance(error, VideoError)
    assert isinstance(first, Prediction)
    assert first == last == predict(net, good, flow=FAST, protocol="quick")

    long = write_video(tmp_path / "long.mp4", moving_texture(100, 32, 32))
    written: list[int] = []
    prepared = prepared_ahead.prepare_video

    def slow(video, store, *, on_frames, **options):  # type: ignore[no-untyped-def]
        def heard(frames: int) -> None:
            written.append(frames)
            gone.wait(10 if video == long else 0)
            on_frames(frames)

        return prepared(video, store, on_frames=heard, **{**options, "short_side": 32})

    gone = threading.Event()
    monkeypatch.setattr(prepared_ahead, "prepare_video", slow)
    each = recognise_each(net, [good, long], flow=FAST, protocol="quick", workers=0)
    next(each)
    threading.Timer(0.5, gone.set).start()  # when `close` has begun to wait for the thread
    each.close()
    assert 100 not in written
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
