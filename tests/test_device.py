"""One meaning of `device` and `precision`."""

from __future__ import annotations

import pytest
import torch

from stresnet.device import PRECISION, resolve_device, resolve_precision
from stresnet.errors import EnvironmentProblem, UsageError


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int, *, bf16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    assert resolve_device("auto") == torch.device("cpu")
    with_gpus(monkeypatch, 2)
    assert resolve_device("auto") == torch.device("cuda:0")
    assert resolve_device("cuda", rank=1) == torch.device("cuda:1")
    assert resolve_device("cpu") == torch.device("cpu")


def test_resolving_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 2)
    assert resolve_device(resolve_device("cuda:1"), rank=0) == torch.device("cuda:1")
    for precision in ("fp32", "bf16", "fp16"):
        assert resolve_precision(precision, torch.device("cuda:1")) == precision


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "mps"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected auto, cpu, cuda"):
        resolve_device(name)


def test_a_gpu_that_is_not_there_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    with pytest.raises(EnvironmentProblem, match=r"cuda:3 does not exist.* has 1 usable"):
        resolve_device("cuda:3")


def test_auto_precision_is_bf16_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRECISION)
    cpu, gpu = torch.device("cpu"), torch.device("cuda:0")
    for name in ("avx512_bf16", "amx_bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {name: True})
        assert resolve_precision("auto", cpu) == "bf16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert resolve_precision("auto", cpu) == "fp32"
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert resolve_precision("auto", cpu) == "fp32"
    with_gpus(monkeypatch, 1, bf16=True)
    assert resolve_precision("auto", gpu) == "bf16"
    with_gpus(monkeypatch, 1, bf16=False)
    assert resolve_precision("auto", gpu) == "fp32"


def test_a_variable_says_what_auto_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setenv(PRECISION, "bf16")
    assert resolve_precision("auto", cpu) == "bf16"
    assert resolve_precision("fp32", cpu) == "fp32"  # what is asked for comes first
    monkeypatch.setenv(PRECISION, "half")
    with pytest.raises(UsageError, match=r"\$STRESNET_PRECISION is 'half'; expected auto"):
        resolve_precision("auto", cpu)


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(UsageError, match="expected auto, fp32, bf16, fp16"):
        resolve_precision("32-true", torch.device("cpu"))
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        resolve_precision("fp16", torch.device("cpu"))
