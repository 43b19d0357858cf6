"""`stresnet.diagnosis`: what is found wrong with a machine that is made to look so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import stresnet.diagnosis as doctor
import stresnet.diagnosis.smoke_tests as work
from making_stores import without_processes
from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.diagnosis import Finding, State, examine_environment, machine, packages
from stresnet.diagnosis import videos as videos_module
from stresnet.diagnosis.environment import examined


def stresnet(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of which all is known already."""
    monkeypatch.setattr(
        doctor, "examine_environment", lambda: (Finding("flow", State.FINE, "works"),)
    )
    without_processes(monkeypatch, videos_module)


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_this_very_machine_works() -> None:
    """Where the tests run, stresnet does."""
    findings = {finding.topic: finding for finding in examine_environment()}
    assert {"packages", "processor", "decoding", "encoding", "optical flow", "disk"} <= set(
        findings
    )
    assert all(finding.state is not State.BROKEN for finding in findings.values())
    assert all(finding.remedy for finding in findings.values() if finding.state != State.FINE)
    assert torch.__version__ in findings["packages"].says
    assert "H.264" in findings["decoding"].says


def test_an_examination_that_fails_is_a_finding() -> None:
    def explodes() -> Iterator[Finding]:
        yield Finding("first", State.FINE, "good")
        raise ImportError("libcuda.so: no such file\nand more")

    first, second = examined("torch", explodes)
    assert (first.topic, second.topic) == ("first", "torch")
    assert second.state is State.BROKEN
    assert second.says == "ImportError: libcuda.so: no such file"


# -- Packages -----------------------------------------------------------------------------------


@pytest.fixture
def required(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make stresnet require these, of what is installed in the versions given."""

    def require(*lines: str, **installed: str) -> None:
        def version(name: str) -> str:
            if name not in installed:
                raise packages.PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(packages, "requires", lambda name: list(lines))
        monkeypatch.setattr(packages, "version", version)
        packages._requirements.cache_clear()

    yield require
    packages._requirements.cache_clear()


def test_a_package_that_is_too_old_or_missing(required: Callable[..., None]) -> None:
    required("numpy>=2.0", "torch>=2.10", "av>=18.1", numpy="1.26.4", torch="2.13.0+cpu")
    finding = only(packages.core_packages())
    assert finding.state is State.BROKEN
    assert finding.says == "numpy 1.26.4 is too old or too new, av is not installed"
    assert finding.remedy == "pip install 'numpy>=2.0' 'av>=18.1'"


def test_extras_that_are_there_and_that_are_not(required: Callable[..., None]) -> None:
    required(
        "numpy>=2.0",
        "onnx>=1.18; extra == 'onnx'",
        "onnxruntime>=1.22; extra == 'onnx'",
        "scipy>=1.13; extra == 'mat'",
        "tomli; python_version < '3.11'",
        **dict.fromkeys(packages.SHOWN, "2.4"),
        onnx="1.18",
        scipy="1.13",
    )
    assert only(packages.core_packages()).state is State.FINE
    onnx, mat = packages.extras()
    assert (onnx.state, onnx.says) == (State.LIMITED, "onnxruntime is not installed")
    assert onnx.remedy == "pip install 'stresnet[onnx]'"
    assert (mat.topic, mat.state) == ("extra mat", State.FINE)


def test_two_opencvs_are_in_each_others_way(
    required: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, other = "opencv-contrib-python-headless", "opencv-python"
    required(f"{wanted}>=4.14,<5; extra == 'idt'", **{wanted: "4.14.0", other: "5.0.0"})
    monkeypatch.setattr(packages, "_installed", lambda: [wanted])
    assert not list(packages.opencv())
    monkeypatch.setattr(packages, "_installed", lambda: [wanted, "numpy", other])
    finding = only(packages.opencv())
    assert finding.state is State.LIMITED
    assert "opencv-python 5.0.0" in finding.says
    assert finding.remedy == (f"pip uninstall -y {wanted} {other}; pip install '{wanted}<5,>=4.14'")


def test_a_torchvision_that_does_not_fit_its_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert not list(packages.torchvision())
    monkeypatch.setattr(packages, "find_spec", lambda name: "here")
    failed = SimpleNamespace(returncode=1, stderr="Traceback\nRuntimeError: no torchvision::nms")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: failed)
    finding = only(packages.torchvision())
    assert finding.state is State.LIMITED
    assert "RuntimeError: no torchvision::nms" in finding.says


# -- Machine ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "word"), [(None, "a build without CUDA"), ("12.8", "does not reach it")]
)
def test_a_card_that_torch_cannot_use(
    cuda: str | None, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(machine, "has_nvidia_card", lambda: False)
    assert only(machine.video_card()).state is State.FINE
    monkeypatch.setattr(machine, "has_nvidia_card", lambda: True)
    finding = only(machine.video_card())
    assert finding.state is State.LIMITED
    assert word in finding.says


def test_each_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [SimpleNamespace(name=n, total_memory=8e9, major=m) for n, m in (("A", 8), ("B", 7))]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    new, old = machine.video_card()
    assert new.says.startswith("A, 8 GB, bfloat16, ")
    assert old.says.startswith("B, 8 GB, no native bfloat16, ")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    finding = only(machine.compiler())
    assert finding.state is State.LIMITED
    assert "no C++ compiler (no-such-compiler)" in finding.says


def test_little_room_and_no_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage(1e9))
    assert [finding.state for finding in machine.disks(tmp_path)] == [State.LIMITED] * 2
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage(64e6))
    assert all("--shm-size" in finding.remedy for finding in machine.shared_memory())

    def refuses(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuses)
    here, temporary = machine.disks(tmp_path)
    assert "cannot be written (Permission denied)" in here.says
    assert "TMPDIR" in temporary.remedy


def test_a_slow_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert only(machine.processor()).state is State.LIMITED


# -- The work -----------------------------------------------------------------------------------


def test_a_decoder_and_an_encoder_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(work.DECODERS, "AV1", "no-such-codec")
    finding = only(work.decoding())
    assert finding.state is State.LIMITED
    assert "lacks AV1; it decodes H.264, HEVC, VP9" in finding.says
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    assert only(work.encoding()).state is State.LIMITED


def test_flow_that_is_compiled_anew_wrong_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stresnet.flow.jit.cache_folder", lambda: None)
    monkeypatch.setattr(work, "flow_error", lambda: 0.01)
    finding = only(work.optical_flow())
    assert finding.state is State.LIMITED
    assert "NUMBA_CACHE_DIR" in finding.remedy

    monkeypatch.setattr("stresnet.flow.jit.cache_folder", lambda: Path("cached"))
    assert "kept in cached" in only(work.optical_flow()).says
    monkeypatch.setattr(work, "flow_error", lambda: 3.0)
    finding = only(work.optical_flow())
    assert finding.state is State.BROKEN
    assert "misses a motion of 3 px by 3.00 px" in finding.says

    monkeypatch.setattr(work, "flow_error", lambda: 1 / 0)
    finding = only(work.optical_flow())
    assert finding.state is State.BROKEN
    assert "ZeroDivisionError" in finding.says
    assert "delete cached" in finding.remedy


def test_the_flow_that_is_tried_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    still = np.zeros((1, 2, 48, 64), np.float32)
    monkeypatch.setattr("stresnet.flow.tv_l1", lambda frames: (seen.append(frames), still)[1])
    assert work.flow_error() == work.SHIFT
    (before, after) = seen[0]
    np.testing.assert_array_equal(before[:, :-3], after[:, 3:])


# -- The verb -----------------------------------------------------------------------------------


def test_all_well(healthy: None, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_texture(12, 112, 128))
    done = stresnet(tmp_path)
    assert done.exit_code == 0
    assert "fine     flow: works" in done.stdout
    assert "1: 1 fine, 0 odd, 0 unusable" in done.stdout
    assert "1 h264; 128x112 to 128x112 pixels; 25 to 25 frames/s" in done.stdout
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".mp4"]
    assert stresnet().exit_code == 0


def test_an_unusable_video_is_exit_code_1(healthy: None, tmp_path: Path) -> None:
    (tmp_path / "[b].mp4").touch()
    (tmp_path / "notes.txt").touch()
    done = stresnet(tmp_path)
    assert done.exit_code == 1
    assert "unusable [b].mp4: the file is empty (0 bytes)\n" in done.stdout
    assert "fix: copy it again, or remove it" in done.stdout
    assert "passed over, since their endings are no video's: 1 .txt" in done.stdout


def test_a_broken_environment_is_exit_code_3(
    healthy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finding = Finding("av", State.BROKEN, "not installed", "pip install av")
    monkeypatch.setattr(doctor, "examine_environment", lambda: (finding,))
    (tmp_path / "a.mp4").touch()
    done = stresnet(tmp_path, "--json")
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert said["environment"] == [
        {"topic": "av", "state": "broken", "says": "not installed", "remedy": "pip install av"}
    ]
    assert said["videos"]["videos"][0]["unusable"] == "the file is empty (0 bytes)"
    assert json.loads(stresnet("--json").stdout)["videos"] is None


def test_no_such_folder_is_exit_code_2(healthy: None, tmp_path: Path) -> None:
    assert stresnet(tmp_path / "nowhere").exit_code == 2


def test_looking_for_packages_imports_none() -> None:
    code = (
        "import sys; from stresnet.diagnosis import packages; "
        "list(packages.extras()); list(packages.opencv()); "
        "print({'cv2', 'sklearn', 'onnx', 'fastapi', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
