"""Live recognition: bounded lines, dropped frames, no lag, clean ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
import pytest
import torch

import stresnet.data.video.camera as camera
import stresnet.data.video.container as container
from making_videos import moving_texture
from stresnet.data.video.camera import camera_frames
from stresnet.data.video.container import CODECS
from stresnet.data.video.decode import Frame
from stresnet.errors import EnvironmentProblem, UsageError, VideoError
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.model import STResNet
from stresnet.prediction import live_labels as live_module
from stresnet.prediction import recogniser
from stresnet.prediction.encoded_frames import EncodedFrame
from stresnet.prediction.latest_queue import LatestQueue
from stresnet.prediction.live_labels import LiveLabel, _Stages, live

TEXTURE = moving_texture(40, 64, 64)


class FakeCamera:
    """Gives frames at a rate, whether anybody looks or not, as a camera does."""

    def __init__(self, rate: float, frames: int = 10**6) -> None:
        self.rate, self.frames, self.closed = rate, frames, False

    def __call__(self) -> Iterator[Frame]:
        began = time.monotonic()
        try:
            for number in range(self.frames):
                time.sleep(max(began + number / self.rate - time.monotonic(), 0))
                yield Frame(TEXTURE[number % len(TEXTURE)], time.monotonic() - began)
        finally:
            self.closed = True


@pytest.fixture(scope="module")
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=32)
    built.class_names = ("right", "left")
    return built.eval()


def scored(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> list[int]:
    """In place of the network: the given time; which class wins changes every third time."""
    seen: list[int] = []

    def score(net: object, video: object, **_: object) -> VideoScores:
        time.sleep(seconds)
        seen.append(video.num_frames)  # type: ignore[attr-defined]
        scores = np.array([1.0, -1.0], np.float32) * (1 if len(seen) % 6 < 3 else -1)
        return VideoScores(scores, scores)

    monkeypatch.setattr(live_module, "_warm_up", lambda *_: None)
    monkeypatch.setattr(recogniser, "score_video", score)
    return seen


def test_the_network_sees_the_last_seconds(net: STResNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "WAITING_FRAMES", 1000)
    labels = list(live(net, FakeCamera(1000, frames=25)(), window=0.01, stride=0.02))
    first, *rest = labels
    assert first.changed
    assert {entry.label for entry in first.predictions} == {"right", "left"}
    assert json.loads(json.dumps(first.as_dict()))["label"] == first.label
    assert not any(each.changed for each in rest if each.label == first.label)

    seen = scored(monkeypatch)
    frames = [Frame(TEXTURE[k], k / 10) for k in range(25)]
    times = [each.time for each in live(net, frames, window=1.0, stride=0.3)]
    assert times[0] >= 1.0
    assert max(seen) == 11  # frames of a second and both its ends
    assert all(later - earlier >= 0.3 - 1e-9 for earlier, later in pairwise(times))


def test_a_slow_network_skips_windows_and_does_not_lag(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second of work for what comes every 0.1 s: answers are fewer, not later and later."""
    scored(monkeypatch, seconds=0.5)
    source = FakeCamera(20)
    labels = live(net, source(), window=0.4, stride=0.1)
    answers = [next(labels) for _ in range(4)]
    labels.close()
    assert source.closed
    assert answers[-1].time - answers[0].time > 1.2
    assert answers[-1].delay < 1.5
    assert answers[-1].delay < answers[0].delay + 0.7


def test_frames_are_dropped_where_flow_is_too_slow(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch)
    real = live_module.encode_frames

    def slow(frames, **options):  # type: ignore[no-untyped-def]
        for coded in real(frames, **options):
            time.sleep(0.05)
            yield coded

    monkeypatch.setattr(live_module, "encode_frames", slow)
    labels = live(net, FakeCamera(100)(), window=0.5, stride=0.1)
    answers = [next(labels) for _ in range(6)]
    labels.close()
    dropped = [answer.dropped for answer in answers]
    assert dropped == sorted(dropped)
    assert dropped[-1] > 20
    assert answers[-1].frames_per_second < 30
    assert answers[-1].delay < 1.5


def test_a_label_says_when_it_changes_and_smoothing_keeps_it(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network says right twice, then left thrice, right thrice, ..."""
    monkeypatch.setattr(live_module, "WAITING_FRAMES", 1000)
    coded = [EncodedFrame(k / 10, (64, 64), b"", b"") for k in range(40)]

    def labels(smooth: float) -> list[LiveLabel]:
        scored(monkeypatch)
        monkeypatch.setattr(_Stages, "clips", lambda *_: ([frame] for frame in coded[:6]))
        return list(live(net, iter(()), smooth=smooth))

    at_once = labels(smooth=0.0)
    assert [each.label for each in at_once] == ["right"] * 2 + ["left"] * 3 + ["right"]
    assert [each.changed for each in at_once] == [True, False, True, False, False, True]
    # Means over three answers: the label changes one answer later.
    assert [each.label for each in labels(smooth=0.2)] == ["right"] * 3 + ["left"] * 3


def test_the_end_and_errors_of_the_camera_come_through(net: STResNet) -> None:
    def broken() -> Iterator[Frame]:
        yield Frame(TEXTURE[0], 0.0)
        raise VideoError("0: it broke off")

    with pytest.raises(VideoError, match="broke off"):
        list(live(net, broken()))
    assert list(live(net, iter(()))) == []
    with pytest.raises(UsageError, match="window 0"):
        list(live(net, broken(), window=0))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("live")]


def test_a_dead_camera_is_left_in_bounded_time_and_closed_when_it_can_be(
    net: STResNet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_module, "FAREWELL", 0.3)
    scored(monkeypatch)
    revived, closed = threading.Event(), threading.Event()

    def dying() -> Iterator[Frame]:
        try:
            for number in range(5):
                yield Frame(TEXTURE[number], number / 10)
            revived.wait(30)
            yield Frame(TEXTURE[0], 1.0)
        finally:
            closed.set()

    labels = live(net, dying(), window=0.2, stride=0.1)
    next(labels)
    began = time.monotonic()
    labels.close()
    assert time.monotonic() - began < 5
    assert "gave no frame for 0.3 s" in caplog.text
    revived.set()
    assert closed.wait(5)


def test_a_camera_whose_frames_cannot_be_used_is_closed(net: STResNet) -> None:
    closed = threading.Event()

    def odd() -> Iterator[Frame]:
        try:
            for number in range(10**6):
                yield Frame(TEXTURE[0] if number < 3 else TEXTURE[0][:32], number / 10)
                time.sleep(0.01)
        finally:
            closed.set()

    with pytest.raises(Exception, match=r"."):
        list(live(net, odd(), window=0.2, stride=0.1))
    assert closed.wait(5)


def test_a_queue_keeps_the_newest() -> None:
    box: LatestQueue[int] = LatestQueue(3)
    for number in range(5):
        box.put(number)
    assert (box.received, box.dropped) == (5, 2)
    box.close(VideoError("broken"))
    items = iter(box)
    assert [next(items) for _ in range(3)] == [2, 3, 4]
    with pytest.raises(VideoError):
        next(items)
    box = LatestQueue(3)
    box.put(1)
    assert box.take_all() == [1]
    box.close()
    assert box.take_all() == []
    assert list(box) == []


# ---------------------------------------------------------------- the camera itself


def stand_in(monkeypatch: pytest.MonkeyPatch, demuxer: str, device: str) -> None:
    """Read this device for a camera, on any system."""
    monkeypatch.setattr(camera.sys, "platform", "linux")
    monkeypatch.setattr(camera, "CAMERAS", demuxer)
    monkeypatch.setattr(camera, "DEVICE", device)


def test_frames_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's own test picture stands for the device."""
    device = "testsrc=size=96x64:rate=50:duration=0.1,realtime"
    stand_in(monkeypatch, "lavfi", device)
    monkeypatch.setattr(container, "CODECS", ("wrapped_avframe", "rawvideo"))
    frames = list(camera_frames("0", short_side=32))
    assert len(frames) == 5
    assert frames[0].image.shape == (32, 48, 3)
    times = [frame.time for frame in frames]
    assert times[0] == 0.0
    assert times == sorted(times)


def test_devices_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "video4linux2,v4l2", "/dev/none{number}")
    with pytest.raises(VideoError, match="no such camera"):
        next(camera_frames("7"))
    monkeypatch.setattr(camera.sys, "platform", "darwin")
    with pytest.raises(EnvironmentProblem, match="rtsp"):
        next(camera_frames("0"))
    stand_in(monkeypatch, "lavfi", "testsrc=size=96x64")
    with pytest.raises(VideoError, match="coded with"):
        next(camera_frames("0"))


@pytest.mark.parametrize("address", ["0", "rtsp://127.0.0.1/"])
def test_cameras_are_opened_with_the_allow_lists_of_files(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    opened = {}

    def refuse(place: str, mode: str, *, options: dict[str, str], **_: object) -> None:
        opened.update(options)
        raise av.error.InvalidDataError(1, "refused")

    stand_in(monkeypatch, "v4l2", "/dev/video{number}")
    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(VideoError, match="no such camera"):
        next(camera_frames(address))
    assert set(opened) == {"format_whitelist", "codec_whitelist", "protocol_whitelist"}
    assert opened["codec_whitelist"].split(",") == list(CODECS)
    assert ("file" in opened["protocol_whitelist"].split(",")) == (address == "0")
