"""On a real GPU, by `make test-gpu`, which fails where there is none."""

from __future__ import annotations

from importlib.resources import files
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from stresnet.cli import app
from stresnet.data.prepare.many import prepare
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.decode import iter_frames
from stresnet.diagnosis import State, examine_environment
from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, grey, tv_l1
from stresnet.inference import InferenceNetwork
from stresnet.model import STResNet
from stresnet.prediction.recognise import predict

pytestmark = pytest.mark.gpu
CLIPS = Path(str(files("stresnet"))) / "assets" / "clips"
SCORES = {"fp32": 0.01, "bf16": 0.1}  # of a softmax; float32's convolutions may use TF32


def test_there_is_a_gpu() -> None:
    assert torch.cuda.device_count() > 0


@pytest.mark.parametrize("parameters", [AUTHORS, OPENCV_CPU, FAST], ids=["authors", "cv", "fast"])
def test_its_flow_is_the_processors(parameters: TVL1Parameters) -> None:
    for clip in sorted(CLIPS.rglob("*.mp4")):
        images = [frame.image for frame in islice(iter_frames(clip, short_side=256), 10, 15)]
        luma = grey(np.stack(images))
        here = tv_l1(luma, parameters=parameters, device="cpu")
        there = tv_l1(luma, parameters=parameters, device="cuda")
        assert np.linalg.norm(there - here, axis=1).mean() < 0.02, clip.name
        assert np.array_equal(there, tv_l1(luma, parameters=parameters, device="cuda"))


@pytest.mark.parametrize("precision", SCORES)
def test_its_scores_are_the_processors(precision: str) -> None:
    for clip in sorted(CLIPS.rglob("*.mp4")):
        here = predict("fight", clip, device="cpu", precision="fp32")
        there = predict("fight", clip, device="cuda", precision=precision)
        assert there.device.startswith("cuda") and there.predictions[0].label == here.label
        assert abs(there.predictions[0].score - here.predictions[0].score) < SCORES[precision]


def test_its_graph_gives_what_the_network_gives() -> None:
    torch.manual_seed(0)
    net = InferenceNetwork(STResNet(3, "tiny", input_size=32).eval().to("cuda"), precision="fp32")
    given = [torch.randint(256, (3, 7, c, 40, 48), dtype=torch.uint8).cuda() for c in (3, 20)]
    first, recorded, replayed = (net(*given) for _ in range(3))
    for other in (recorded, replayed):
        for got, expected in zip(other, first, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_worker_processes_share_it(tmp_path: Path) -> None:
    report = prepare(CLIPS, tmp_path, device="cuda")
    assert not report.failures and report.done
    stores = [StoredVideo(path) for path in tmp_path.rglob("*.zip")]
    assert all("flow_on" in store.index.libraries for store in stores)
    assert prepare(CLIPS, tmp_path, device="cpu").skipped == report.done  # and is as good


def test_a_network_is_trained_on_it(tmp_path: Path) -> None:
    for word in ("train", "evaluate"):
        model = [str(tmp_path / "run")] if word == "evaluate" else []
        folder = tmp_path / ("run" if word == "train" else "report")
        out = ["--out", str(folder), "--store", str(tmp_path / "store")]
        found = CliRunner().invoke(app, [word, *model, str(CLIPS), *out, "--device", "cuda"])
        assert found.exit_code == 0, found.output


def test_the_doctor_knows_it() -> None:
    found = {finding.topic: finding for finding in examine_environment()}
    assert found["network"].state is State.FINE
    assert "compute capability" in found["network"].says
