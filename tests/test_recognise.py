"""What may be recognised, where the network runs, and when a video gets a timeline."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

import stresnet
from making_videos import moving_texture, write_video
from stresnet.data.prepare import one
from stresnet.data.prepare.one import preparation, prepare_frames
from stresnet.data.video.decode import Frame
from stresnet.errors import StoreError, UsageError, VideoError
from stresnet.flow import AUTHORS, FAST, TVL1Parameters, tv_l1
from stresnet.flow.quantize import stored_scale
from stresnet.model import STResNet
from stresnet.prediction import recognise, recogniser
from stresnet.prediction.encoded_frames import EncodedVideo, encode_frames
from stresnet.prediction.recognise import recognise_each
from stresnet.prediction.recogniser import network_on
from stresnet.prediction.result import Prediction, Timeline

FASTER: dict[str, Any] = {"flow": FAST}
FRAMES = moving_texture(6, 64, 64)  # (N,H,W,3)


@pytest.fixture(scope="module")
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=32)
    torch.nn.init.normal_(built.appearance.classifier.weight)
    built.class_names = ("left", "right")
    return built.eval()


@pytest.mark.parametrize(
    "frames",
    [
        list(FRAMES),
        [Image.fromarray(frame) for frame in FRAMES],
        torch.from_numpy(FRAMES),
        torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
    ],
    ids=["arrays", "PIL images", "tensor", "channels second"],
)
def test_frames_in_every_form_are_the_same_video(net: STResNet, frames: Any) -> None:
    expected = stresnet.predict(net, FRAMES, **FASTER)
    assert stresnet.predict(net, frames, **FASTER) == expected
    assert (expected.score, expected.device) == (expected.predictions[0].score, "cpu")
    assert expected.as_dict()["precision"] in ("fp32", "bf16")
    in_time = stresnet.timeline(net, frames, fps=6, **FASTER)
    assert in_time.label == expected.label
    assert in_time.as_dict()["device"] == "cpu"


@pytest.mark.parametrize(
    "frames",
    [[], [FRAMES[0], FRAMES[1, :32]], torch.rand(3, 32, 32, 3), FRAMES[0]],
    ids=["none", "of two sizes", "floats", "one picture"],
)
def test_what_is_not_frames_is_refused(net: STResNet, frames: Any) -> None:
    with pytest.raises(UsageError, match="frames"):
        stresnet.predict(net, frames)


@pytest.mark.parametrize("video", [None, 3, b"a.mp4", np.float32(1)])
def test_what_is_no_video_is_told_as_that(net: STResNet, video: Any) -> None:
    with pytest.raises(UsageError, match=f"a video is {type(video).__name__}"):
        stresnet.predict(net, video)
    with pytest.raises(UsageError, match="the model is NoneType"):
        stresnet.predict(None, video)  # type: ignore[arg-type]


def test_each_input_comes_back_with_its_answer_in_order(net: STResNet, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", FRAMES)
    stored = prepare_frames(FRAMES, tmp_path / "stored.zip", fps=25, parameters=FAST)
    inputs = [tmp_path / "gone.mp4", str(path), FRAMES, stored, path]
    found = list(recognise_each(net, inputs, workers=0, **FASTER))
    assert all(given is back for given, (back, _) in zip(inputs, found, strict=True))
    outcomes = [outcome for _, outcome in found]
    assert isinstance(outcomes[0], VideoError)
    assert [type(outcome) for outcome in outcomes[1:]] == [Prediction] * 4
    assert outcomes[1] == outcomes[4]
    assert outcomes[2].predictions == outcomes[3].predictions


def long_without_a_length(path: Path) -> Path:
    """14 frames, one a second, in a file whose header tells no duration, as browsers record it."""
    with av.open(path, "w", options={"live": "1"}) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(1))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for image in moving_texture(14, 64, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(path) as container:
        assert not container.duration
    return path


@pytest.mark.parametrize("workers", [0, 1])
def test_a_timeline_is_for_what_lasts_whatever_the_header_says(
    net: STResNet, tmp_path: Path, workers: int
) -> None:
    long = long_without_a_length(tmp_path / "long.mkv")
    short = write_video(tmp_path / "short.mp4", FRAMES)
    settings = stresnet.TimelineSettings(window=4, stride=5)
    found = recognise_each(net, [short, long, short], settings=settings, workers=workers, **FASTER)
    outcomes = [outcome for _, outcome in found]
    assert [type(outcome) for outcome in outcomes] == [Prediction, Timeline, Prediction]
    assert outcomes[1].duration == pytest.approx(14, abs=0.1)
    ((_, whole),) = recognise_each(net, [long], timeline=False, workers=0, **FASTER)
    assert isinstance(whole, Prediction)


def test_flow_is_computed_where_it_is_looked_at(
    net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file's packets are not its frames."""
    pairs: list[int] = []

    def counted(frames: Any, **options: Any) -> Any:
        pairs.append(len(frames) - 1)
        return tv_l1(frames, **options)

    monkeypatch.setattr(one, "tv_l1", counted)
    frames = moving_texture(100, 64, 64)
    path = write_video(tmp_path / "clip.mp4", frames)
    whole = one.prepare_video(path, tmp_path / "whole.zip", parameters=FAST)
    expected = stresnet.predict(net, whole, **FASTER).predictions
    assert sum(pairs) == 99
    for told in (100, 50, 0):
        pairs.clear()
        monkeypatch.setattr(one, "probe", lambda video, told=told: SimpleNamespace(frames=told))
        assert stresnet.predict(net, path, **FASTER).predictions == expected
        assert (sum(pairs) == 8 * 10) is (told == 100)
    pairs.clear()
    stresnet.predict(net, frames, **FASTER)
    assert sum(pairs) == 8 * 10
    partly = one.prepare_video(path, tmp_path / "partly.zip", parameters=FAST, chunks=8)
    with pytest.raises(StoreError, match="flow_fields"):
        partly.check(preparation(FAST))


def test_videos_are_prepared_as_the_model_was_trained(
    net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the first is begun before the model is known."""
    path = write_video(tmp_path / "clip.mp4", FRAMES)
    own = TVL1Parameters(scales=2, warps=1, iterations=5)
    monkeypatch.setattr(recogniser, "flow_parameters", lambda trained: own)
    monkeypatch.setattr(recogniser, "short_side", lambda trained: 128)
    ways: list[tuple[TVL1Parameters, int]] = []
    real = recognise.prepared_ahead

    def spied(files: Any, **options: Any) -> Any:
        ways.append((options["parameters"], options["short_side"]))
        return real(files, **options)

    monkeypatch.setattr(recognise, "prepared_ahead", spied)
    found = stresnet.predict(net, path)
    assert ways[-1] == (own, 128)
    stored = prepare_frames(FRAMES, tmp_path / "a.zip", fps=25, parameters=own, short_side=128)
    assert isinstance(found, Prediction)
    assert stored.height == 128


def test_how_videos_are_prepared_is_known_before_torch_is_imported(tmp_path: Path) -> None:
    assert recognise._guess("exercise") == (FAST, 256)
    assert recognise._guess("fight") == (FAST, 128)
    for text in (
        "",
        "[",
        '{"preparation": []}',
        '{"preparation": {"short_side": "x"}}',
        "[" * 10**5,
    ):
        (tmp_path / "config.json").write_text(text)
        assert recognise._guess(tmp_path) == (AUTHORS, 256)


def test_a_network_is_copied_to_another_device_and_stays_where_it_is(net: STResNet) -> None:
    assert network_on(net, "auto") is net
    assert network_on(net, "cpu") is net
    moved = network_on(net, "meta")
    assert (moved.device.type, net.device.type) == ("meta", "cpu")


def test_a_network_without_class_names_is_refused() -> None:
    with pytest.raises(UsageError, match="class names"):
        stresnet.predict(STResNet(2, "tiny", input_size=32), FRAMES)


def test_flow_over_dropped_frames_is_per_frame() -> None:
    """A texture that moves 2 px a frame; of three frames in between nothing is known."""
    images = moving_texture(5, 64, 64, step=(2, 0))
    seen = [Frame(images[k], k / 25) for k in (0, 1, 4)]
    numbers = {id(frame): number for frame, number in zip(seen, (0, 1, 4), strict=True)}
    frames = encode_frames(
        seen, at_once=1, steps=lambda before, after: numbers[id(after)] - numbers[id(before)]
    )
    flow = EncodedVideo(list(frames)).flow(np.array([0, 1])).astype(float) - 128  # (2,2,H,W)
    # px per frame; what is stored is px of a picture with a short side of 256
    x = np.median(flow[:, 0], axis=(1, 2)) * 40 / 255 / stored_scale(64)
    assert x == pytest.approx([2, 2], abs=0.4)
