"""Every way to a GPU, on one that there is not (`fake_card`): the processor's results, exactly.

What a real card computes is tested by `make test-gpu` (test_gpu.py).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fake_card import CARD, FakeCard
from making_stores import moved, without_processes
from making_videos import write_video
from memory_video import InMemoryVideo
from stresnet.cli import app
from stresnet.data.prepare.many import WORKERS_A_GPU, workers_for
from stresnet.data.prepare.one import preparation, prepare_video
from stresnet.data.video.decode import frames_of_array
from stresnet.device import gpu, gpu_errors
from stresnet.errors import EnvironmentProblem, VideoError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.explanation import explain
from stresnet.flow import FAST, grey, torch_kernel, tv_l1
from stresnet.flow.torch_kernel import flow_on_device
from stresnet.inference import InferenceNetwork
from stresnet.model import STResNet
from stresnet.prediction import many
from stresnet.prediction.live_labels import live
from stresnet.prediction.recognise import predict, timeline
from stresnet.prediction.recogniser import Recogniser
from stresnet.web.recognise import recognise

# The fake card takes as long for one pixel as for a thousand, and 0.1 ms for each operator.
SHORT = replace(FAST, scales=1, warps=1, iterations=2)
FRAMES = moved(np.outer(np.arange(6), (2, 1)), 36, 48)
CPU = torch.device("cpu")


@pytest.fixture
def net() -> STResNet:
    torch.manual_seed(0)
    made = STResNet(2, "tiny", input_size=32).eval()
    made.class_names = ("still", "moves")
    made.preparation = preparation(SHORT, short_side=36)
    return made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", FRAMES)


@pytest.fixture
def same_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's flow by torch, too: what differs is the device alone."""

    def kernel(frames: Any, *, parameters: Any, device: str, threads: Any = None) -> Any:
        return flow_on_device(frames, parameters, gpu(device) or CPU)

    for module in ("data.prepare.one", "prediction.encoded_frames", "flow_video"):
        monkeypatch.setattr(f"stresnet.{module}.tv_l1", kernel)


def test_flow_is_the_processors() -> None:
    luma = grey(FRAMES)
    for parameters in (SHORT, replace(SHORT, median_every=1, scales=2, beyond="black")):
        with FakeCard() as card:
            flow = tv_l1(luma, parameters=parameters, device="meta")
        assert card.operators > 100
        np.testing.assert_allclose(flow, flow_on_device(luma, parameters, CPU), atol=1e-5)


def of_predict(net: STResNet, clip: Path, device: str) -> list[float]:
    found = predict(net, clip, device=device, precision="fp32")
    assert found.device == device
    return [entry.score for entry in found.predictions]


def of_timeline(net: STResNet, clip: Path, device: str) -> list[float]:
    found = timeline(net, clip, device=device, precision="fp32")
    assert found.device == device
    return [*found.appearance.ravel(), *found.motion.ravel()]


def of_explain(net: STResNet, clip: Path, device: str) -> list[float]:
    found = explain(net, clip, device=device, precision="fp32", intervals=2)
    assert found.device == device
    return [*found.maps.ravel(), *found.losses.ravel()]


def of_live(net: STResNet, clip: Path, device: str) -> list[float]:
    frames = frames_of_array(FRAMES, fps=25, short_side=36)
    found = list(live(net, frames, window=0.1, device=device, precision="fp32", flow=SHORT))
    assert found and found[-1].device == device
    return [found[-1].predictions[0].score]


def of_serve(net: STResNet, clip: Path, device: str) -> list[float]:
    folder = clip.parent / device
    folder.mkdir()
    shutil.copy(clip, folder / "upload")
    recogniser = Recogniser(net, device=device, precision="fp32")
    found = recognise(
        recogniser, folder, "clip", max_seconds=9, threads=1, on_stage=lambda *_: None
    )
    assert found["device"] == device
    return [found["explained"]["margin"]]


@pytest.mark.usefixtures("same_kernel")
@pytest.mark.parametrize("verb", [of_predict, of_timeline, of_explain, of_serve])
def test_a_verb_gives_the_processors_answer(
    verb: Callable[[STResNet, Path, str], list[float]], net: STResNet, clip: Path
) -> None:
    expected = verb(net, clip, "cpu")
    with FakeCard():
        found = verb(net, clip, "meta")
        assert FakeCard.operators > 100
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_camera_is_watched_on_the_card(net: STResNet, clip: Path) -> None:
    """Which frames are dropped is a matter of time, so there is no number to compare."""
    with FakeCard():
        assert 0 < of_live(net, clip, "meta")[0] < 1


def test_a_store_records_what_made_it(clip: Path, tmp_path: Path) -> None:
    with FakeCard():
        card = prepare_video(clip, tmp_path / "a.zip", parameters=SHORT, device="meta")
    here = prepare_video(clip, tmp_path / "b.zip", parameters=SHORT, device="cpu")
    assert card.index.libraries["torch"] == torch.__version__
    assert card.index.libraries["flow_on"] == "meta" and "numba" not in card.index.libraries
    assert "numba" in here.index.libraries and "flow_on" not in here.index.libraries
    assert card.index.preparation == here.index.preparation  # they may be mixed
    fields = [np.float32(each.flow(np.arange(5))) for each in (card, here)]
    assert np.abs(fields[0] - fields[1]).mean() * 40 / 255 < 0.02


def test_the_command_line_hands_its_device_on(
    net: STResNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To flow and network alike."""
    net.save_pretrained(tmp_path / "model")
    seen: list[str] = []

    def spied(frames: Any, *, parameters: Any = None, device: str, threads: Any = None) -> Any:
        seen.append(device)
        return tv_l1(frames, parameters=SHORT, device="cpu")

    for module in ("data.prepare.one", "prediction.encoded_frames", "flow_video"):
        monkeypatch.setattr(f"stresnet.{module}.tv_l1", spied)
    without_processes(monkeypatch)
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(clip, folder)
    for words, code in {
        ("predict", tmp_path / "model", clip, "--whole", "--json"): 0,
        ("predict", tmp_path / "model", clip, "--timeline", "--json"): 0,
        ("explain", tmp_path / "model", clip, "--out", tmp_path / "page"): 0,
        ("flow", clip, "--flo", tmp_path / "flo"): 0,
        ("prepare", folder, "--store", tmp_path / "store"): 0,
    }.items():
        seen.clear()
        with FakeCard():
            found = CliRunner().invoke(app, [*map(str, words), "--device", "meta"])
        assert found.exit_code == code, found.output
        assert set(seen) == {"meta"}, words


def test_a_full_card_gets_half_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    luma, whole, given = grey(FRAMES), torch_kernel.flow_of_video, []

    def full(frames: torch.Tensor, p: Any) -> torch.Tensor:
        given.append(len(frames) - 1)
        if given[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(frames, p)

    monkeypatch.setattr(torch_kernel, "flow_of_video", full)
    room = 2
    flow = flow_on_device(luma, SHORT, CPU)
    assert given == [5, 3, 2, 2, 1]
    room = 9
    np.testing.assert_allclose(flow, flow_on_device(luma, SHORT, CPU), atol=1e-5)
    room = 0
    with pytest.raises(EnvironmentProblem, match=r"out of memory.*two frames of 48x36"):
        flow_on_device(luma, SHORT, CPU)


def test_a_full_card_sees_the_mirror_image_later(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = InMemoryVideo(FRAMES, np.full((5, 2, 36, 48), 140, np.uint8))
    expected, whole, given = (
        score_video(net, video, precision="fp32"),
        InferenceNetwork.__call__,
        [],
    )

    def full(tested: InferenceNetwork, rgb: torch.Tensor, flow: torch.Tensor) -> Any:
        given.append(len(rgb))
        if len(rgb) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(tested, rgb, flow)

    monkeypatch.setattr(InferenceNetwork, "__call__", full)
    with FakeCard():
        found = score_video(net.to(CARD), video, precision="fp32")
    assert given == [2, 1, 1]
    np.testing.assert_allclose(found.fused, expected.fused, atol=1e-4)


def test_a_card_that_is_busy_or_gone_is_told_as_that() -> None:
    card = torch.device("cuda:0")
    with (
        pytest.raises(EnvironmentProblem, match=r"cuda:0: busy, or gone.*a clip.*unavailable"),
        gpu_errors(card, "a clip", lower="it"),
    ):
        raise torch.AcceleratorError(
            "CUDA error: all CUDA-capable devices are busy or unavailable\nFor debugging ..."
        )
    with (
        pytest.raises(EnvironmentProblem, match="out of memory for a clip") as told,
        gpu_errors(card, "a clip", lower="--this"),
    ):
        raise torch.AcceleratorError("CUDA error: out of memory")
    assert "--this" in str(told.value.remedy)
    for device, words in ((card, "sizes must match"), (CPU, "CUDA error")):
        with pytest.raises(RuntimeError, match=words), gpu_errors(device, "a clip", lower="it"):
            raise RuntimeError(words)


def test_workers_take_the_cards_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(gpu("auto", worker=n)) for n in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert str(gpu("cuda:1", worker=0)) == "cuda:1" and gpu("cpu") is None
    monkeypatch.setattr("stresnet.data.prepare.many.cores", lambda: 99)
    monkeypatch.setattr("stresnet.workers.cores", lambda: 99)
    assert workers_for("auto", None, 1000)[0] == 2 * WORKERS_A_GPU
    assert workers_for("cuda:1", None, 1000)[0] == WORKERS_A_GPU
    assert workers_for("cuda", 7, 1000)[0] == 7
    assert workers_for("cpu", None, 1000)[0] == 99


def test_of_many_videos_each_has_a_core_and_its_workers_card(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(many, "worker_number", lambda: 1)
    monkeypatch.setattr(many, "kept_model", lambda model, device: devices.append(device) or net)
    monkeypatch.setattr(many, "recognise_each", lambda *given, **how: [("", VideoError("gone"))])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(VideoError, match="gone"):
            many.RecogniseOne("fight")(Path("clip.mp4"))
        assert (devices, torch.get_num_threads()) == (["cuda:1"], 1)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia*"))), reason="there is a GPU")
def test_without_a_card_torch_is_not_imported() -> None:
    code = "import sys; from stresnet.device import gpu; sys.exit(gpu() or 'torch' in sys.modules)"
    assert run([sys.executable, "-c", code]).returncode == 0
