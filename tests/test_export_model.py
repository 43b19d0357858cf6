"""Networks written in other formats: the same scores, or nothing."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from making_videos import write_video
from memory_video import InMemoryVideo
from stresnet import exporting
from stresnet.cli import app
from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import CENTRE_CROP
from stresnet.exporting import FORMATS, Format, Run, export_model
from stresnet.model import STResNet
from tiny_data import CLASSES, toy_video

SIZE = 32
HOWTO = Path(__file__).parents[1] / "docs" / "howto" / "export.md"
EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_predict.py"


@pytest.fixture(scope="module")
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=SIZE, temporal_pool="pool5")
    for stream in (built.appearance, built.motion):
        torch.nn.init.normal_(stream.classifier.weight)
    built.class_names, built.preparation = CLASSES, {"flow": "TV-L1"}
    return built.eval()


@pytest.fixture
def no_real_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "real_clips", lambda *arguments: [])


def stand_in(net: STResNet, error: float) -> Format:
    """A format whose file is its metadata, and whose scores are `error` too great."""

    def write(program: object, path: Path, facts: Mapping[str, str]) -> None:
        path.write_text(json.dumps(dict(facts)))

    def opened(path: Path) -> Run:
        def run(rgb: Tensor, flow: Tensor) -> list[Tensor]:
            with torch.inference_mode():
                return [scores * (1 + error) for scores in net(rgb, flow)]

        return run

    return Format(".txt", (), write, opened)


def with_format(monkeypatch: pytest.MonkeyPatch, form: Format) -> None:
    monkeypatch.setattr(exporting, "FORMATS", {"stand-in": form})
    monkeypatch.setattr(exporting, "captured", lambda net, height, width: None)


@pytest.mark.usefixtures("no_real_clips")
def test_a_file_with_other_scores_is_refused_and_a_former_one_stays(
    net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model.txt"
    with_format(monkeypatch, stand_in(net, error=0.0))
    assert export_model(net, "stand-in", out) == 0
    before = out.read_bytes()
    assert json.loads(json.loads(before)["class_names"]) == list(CLASSES)

    with_format(monkeypatch, stand_in(net, error=0.001))
    with pytest.raises(EnvironmentProblem, match="nothing was written"):
        export_model(net, "stand-in", out)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("no_real_clips")
def test_the_caller_s_network_stays_as_and_where_it_is(
    net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[STResNet] = []
    cpu = STResNet.cpu
    monkeypatch.setattr(STResNet, "cpu", lambda self: moved.append(self) or cpu(self))
    with_format(monkeypatch, stand_in(net, error=0.0))
    training = copy.deepcopy(net).train()
    export_model(training, "stand-in", tmp_path / "model.txt")
    assert all(module.training for module in training.modules())
    assert training not in moved


def test_a_network_without_names_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no class names, expected 2"):
        export_model(STResNet(2, "tiny", input_size=SIZE), "torch-export", tmp_path / "model.pt2")


def test_arguments_that_make_no_sense(net: STResNet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="onnx, torch-export"):
        export_model(net, "onx", tmp_path / "model.onnx")
    with pytest.raises(UsageError, match=r"model\.onnx"):
        export_model(net, "onnx", tmp_path / "model.pt")
    with pytest.raises(UsageError, match="1x1 px"):
        export_model(net, "torch-export", tmp_path / "model.pt2", size=(1, 1))
    for size in (["128"], ["128", "a"], ["128x171"]):
        arguments = ["export", "MODEL", "--to", "onnx", "--out", "m.onnx", "--size", *size]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "--size" in result.stderr


def test_a_missing_package_names_the_pip_command(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_format(monkeypatch, FORMATS["onnx"]._replace(packages=("no_such_package",)))
    with pytest.raises(EnvironmentProblem, match=r"pip install 'stresnet\[onnx\]'"):
        export_model(net, "stand-in", "model.onnx")


@pytest.mark.slow
def test_torch_export_runs_without_stresnet(net: STResNet, tmp_path: Path) -> None:
    """On clips of the user's own, whole frames, by the command line."""
    net.save_pretrained(tmp_path / "model", card="")
    clip = write_video(tmp_path / "a.mp4", toy_video("falls", seed=1)[0].frames)
    out = tmp_path / "model.pt2"
    given = f"--to torch-export --out {out} --size 37 40 --clip {clip}".split()
    result = CliRunner().invoke(app, ["export", str(tmp_path / "model"), *given])
    assert result.exit_code == 0, result.stderr
    assert "a.mp4: same scores" in result.stderr
    extra = {"class_names": "", "size": ""}
    program = torch.export.load(out, extra_files=extra)
    assert json.loads(extra["class_names"]) == list(CLASSES)
    assert json.loads(extra["size"]) == [37, 40]
    rgb = torch.randint(0, 256, (2, 8, 3, 37, 40), dtype=torch.uint8)
    flow = torch.randint(0, 256, (2, 8, 20, 37, 40), dtype=torch.uint8)
    with torch.no_grad():
        for got, expected in zip(program.module()(rgb, flow), net(rgb, flow), strict=True):
            torch.testing.assert_close(got, expected)
    assert str(Path(__file__).parents[1]).encode() not in out.read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("no_real_clips")
def test_the_example_scores_an_onnx_file_as_evaluation_does(net: STResNet, tmp_path: Path) -> None:
    for package in FORMATS["onnx"].packages:
        pytest.importorskip(package)
    out = tmp_path / "model.onnx"
    export_model(net, "onnx", out)
    assert str(Path(__file__).parents[1]).encode() not in out.read_bytes()

    video, flow = toy_video("rises", seed=2, side=37)  # of the size at which it is tested
    np.savez(tmp_path / "clip.npz", frames=video.frames, flow=flow)
    command = [sys.executable, str(EXAMPLE), str(out), str(tmp_path / "clip.npz")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seen = InMemoryVideo(video.frames, flow)
    scores = score_video(net, seen, precision="fp32", protocol=CENTRE_CROP).fused
    shown = {name: float(score) for score, name in map(str.split, said.splitlines())}
    np.testing.assert_allclose([shown[name] for name in CLASSES], scores, atol=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("no_real_clips")
def test_openvino_reads_the_onnx_file(net: STResNet, tmp_path: Path) -> None:
    for package in ("openvino", *FORMATS["onnx"].packages):
        pytest.importorskip(package)
    import openvino

    export_model(net, "onnx", tmp_path / "model.onnx")
    (line,) = [line for line in HOWTO.read_text().splitlines() if "compile_model" in line]
    named: dict[str, Any] = {"openvino": openvino}
    exec(line.replace("model.onnx", str(tmp_path / "model.onnx")), named)
    rgb, flow = (torch.randint(256, (2, 8, c, SIZE, SIZE), dtype=torch.uint8) for c in (3, 20))
    scores = named["model"]({"rgb": rgb.numpy(), "flow": flow.numpy()})
    with torch.inference_mode():
        for name, expected in zip(("appearance", "motion"), net(rgb, flow), strict=True):
            difference = (torch.from_numpy(scores[name]) - expected).abs().max()
            assert difference < 1e-4 * expected.abs().max()
