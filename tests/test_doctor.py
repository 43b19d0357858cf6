"""`stresnet.diagnosis`: what is found wrong with a machine that is made to look so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import stresnet.diagnosis as doctor
from making_stores import without_processes
from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.diagnosis import Finding, State, environment, examine_environment


def stresnet(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of which all is known already."""
    monkeypatch.setattr(
        doctor, "examine_environment", lambda: (Finding("flow", State.FINE, "works"),)
    )
    without_processes(monkeypatch)


def of(check: environment.Check) -> Finding:
    found = check()
    assert found is not None
    return Finding("topic", *found)


def test_this_very_machine_works() -> None:
    """Where the tests run, stresnet does."""
    findings = {finding.topic: finding for finding in examine_environment()}
    assert {"versions", "FFmpeg", "optical flow", "network"} <= set(findings)
    assert all(finding.state is not State.BROKEN for finding in findings.values())
    assert all(finding.remedy for finding in findings.values() if finding.state != State.FINE)
    version = torch.__version__.partition("+")[0]  # PyPI's wheels leave +cu130 out
    assert version in findings["versions"].says
    assert "collect_env" in findings["versions"].says
    assert "cpu, " in findings["network"].says or "cuda" in findings["network"].says


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def explodes() -> environment.Found:
        raise ImportError("libcuda.so: no such file\nand more")

    checks = (("first", lambda: (State.FINE, "good", "")), ("torch", explodes))
    monkeypatch.setattr(environment, "CHECKS", checks)
    first, second = examine_environment()
    assert (first.topic, second.topic) == ("first", "torch")
    assert second.state is State.BROKEN
    assert second.says == "ImportError: libcuda.so: no such file"


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("8.1.2", State.FINE),
        ("8.1.1", State.BROKEN),
        ("8.1", State.BROKEN),
        ("n7.1.5-12-gabc", State.FINE),
        ("7.1.4", State.BROKEN),
        ("5.1.9-0+deb12u1", State.BROKEN),
        ("4.4.6", State.BROKEN),
        ("9.0", State.FINE),
        ("git-2026-07-01", State.FINE),
    ],
)
def test_an_ffmpeg_with_a_known_hole(
    version: str, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("av.ffmpeg_version_info", version)
    finding = of(environment.ffmpeg)
    assert finding.state is state
    assert ("CVE-2026-8461" in finding.says) == (state is State.BROKEN)


def test_an_encoder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    assert of(environment.ffmpeg).state is State.LIMITED


def test_two_opencvs_are_in_each_others_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(*names: str) -> None:
        found = [SimpleNamespace(metadata={"Name": name}) for name in names]
        monkeypatch.setattr(environment, "distributions", lambda: found)

    installed("opencv-python", "numpy")
    assert environment.opencv() is None
    installed("opencv_contrib_python_headless", "numpy", "opencv-python")
    finding = of(environment.opencv)
    assert finding.state is State.LIMITED
    assert "opencv-contrib-python-headless, opencv-python overwrite each other" in finding.says
    assert "pip uninstall -y opencv-contrib-python-headless opencv-python;" in finding.remedy


def test_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "resolve_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    assert of(environment.network).state is State.FINE
    monkeypatch.setattr(environment.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    finding = of(environment.network)
    assert finding.state is State.LIMITED
    assert "NVIDIA" in finding.says


def test_flow_that_is_not_cached_wrong_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stresnet.flow.jit.cache_folder", lambda: None)
    monkeypatch.setattr(environment, "flow_error", lambda device: 0.01)
    finding = of(environment.optical_flow)
    assert finding.state is State.LIMITED
    assert "NUMBA_CACHE_DIR" in finding.remedy

    monkeypatch.setattr("stresnet.flow.jit.cache_folder", lambda: Path("folder"))
    assert "cached in folder" in of(environment.optical_flow).says
    monkeypatch.setattr(environment, "flow_error", lambda device: 3.0)
    finding = of(environment.optical_flow)
    assert finding.state is State.BROKEN
    assert "misses a motion of 3 px by 3.00 px" in finding.says

    monkeypatch.setattr(environment, "flow_error", lambda device: 1 / 0)
    finding = of(environment.optical_flow)
    assert finding.state is State.BROKEN
    assert "ZeroDivisionError" in finding.says
    assert "delete folder" in finding.remedy


def test_the_flow_that_is_tried_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    still = np.zeros((1, 2, 48, 64), np.float32)

    def flow(frames: np.ndarray, *, device: str) -> np.ndarray:
        seen.append(frames)
        return still

    monkeypatch.setattr("stresnet.flow.tv_l1", flow)
    assert environment.flow_error("cpu") == environment.SHIFT
    (before, after) = seen[0]
    np.testing.assert_array_equal(before[:, :-3], after[:, 3:])


# -- The verb -----------------------------------------------------------------------------------


def test_all_well(healthy: None, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_texture(12, 112, 128))
    done = stresnet(tmp_path)
    assert done.exit_code == 0
    assert "fine     flow: works" in done.stdout
    assert "videos: 1 fine, 0 odd, 0 unusable" in done.stdout
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".mp4"]
    assert stresnet().exit_code == 0


def test_an_unusable_video_is_exit_code_1(healthy: None, tmp_path: Path) -> None:
    (tmp_path / "[b].mp4").touch()
    (tmp_path / "notes.txt").touch()
    done = stresnet(tmp_path)
    assert done.exit_code == 1
    assert "unusable [b].mp4: the file is empty (0 bytes)\n" in done.stdout
    assert "fix: copy it again, or remove it" in done.stdout
    assert "left out: .txt files (1" in done.stderr


def test_a_broken_environment_is_exit_code_3(
    healthy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finding = Finding("av", State.BROKEN, "not installed", "pip install av")
    monkeypatch.setattr(doctor, "examine_environment", lambda: (finding,))
    (tmp_path / "a.mp4").touch()
    done = stresnet(tmp_path)
    assert done.exit_code == 3
    assert "broken   av: not installed\n         fix: pip install av\n" in done.stdout
    assert "unusable a.mp4: the file is empty (0 bytes)" in done.stdout


def test_no_such_folder_is_exit_code_2(healthy: None, tmp_path: Path) -> None:
    assert stresnet(tmp_path / "nowhere").exit_code == 2
