"""The small network's features come to resemble those of the large one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loading_scripts import script
from stresnet.model import Stream, load_imagenet
from tiny_data import toy_store

distillation = script("tools/distil.py")


def tiny(seed: int) -> Stream:
    torch.manual_seed(seed)
    return Stream(3, 2, "tiny", mean=0.0, temporal_convolutions=False, input_size=32)


def test_torchvision_s_names_lead_back_to_the_same_stream(tmp_path: Path) -> None:
    one, other = tiny(0), tiny(1)
    save_file(distillation.to_torchvision(one), tmp_path / "one.safetensors")
    load_imagenet(other, tmp_path / "one.safetensors")
    for name, tensor in one.state_dict().items():
        if not name.startswith("classifier"):
            halved = tensor.half().float() if tensor.ndim == 4 else tensor
            torch.testing.assert_close(other.state_dict()[name], halved)


def test_the_error_is_relative_to_the_variance() -> None:
    wanted = torch.tensor([0.0, 2.0])
    assert distillation.relative_error(wanted, wanted) == 0
    assert distillation.relative_error(torch.tensor([1.0, 1.0]), wanted) == pytest.approx(0.5)


def test_distillation_lowers_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setitem(distillation.BATCH, "imagenet", 8)
    videos = toy_store(tmp_path / "store", videos=2)
    save_file(distillation.to_torchvision(tiny(0)), tmp_path / "teacher.safetensors")
    distillation.distil_imagenet(
        videos,
        tmp_path / "teacher.safetensors",
        tmp_path / "student.safetensors",
        iterations=100,
        teacher_depth="tiny",
        input_size=32,
        workers=0,
    )
    first, last = (float(line.rsplit(" ", 1)[1]) for line in caplog.messages)
    assert last < first
    load_imagenet(tiny(2), tmp_path / "student.safetensors")
