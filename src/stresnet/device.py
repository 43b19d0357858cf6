"""Where a network runs and with which numbers: one meaning of `device` and of `precision`.

Every verb and every function that takes one of the two takes both words from here:

    device      "auto" (the first GPU, or the CPU where there is none), "cpu", "cuda", "cuda:1"
    precision   "auto" (bf16 where the device multiplies it natively, else fp32),
                "fp32", "bf16", "fp16"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from stresnet.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:  # torch takes a second to import, and `--help` needs none of it
    import torch

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]


def resolve_device(device: str | torch.device = "auto", *, rank: int = 0) -> torch.device:
    """Return the device that a name stands for on this machine.

    Args:
        rank: this process's number on this machine; "auto" and "cuda" give each its own GPU.

    Raises:
        UsageError: there is no device of such a name.
        EnvironmentProblem: this machine has no such device, or torch was built without it.
    """
    import torch

    name = str(device)
    gpus = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    try:
        resolved = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N") from error
    if resolved.type == "cuda":
        index = rank if resolved.index is None else resolved.index
        if index >= gpus:
            built = "" if torch.version.cuda else " (this torch is built for processors only)"
            raise EnvironmentProblem(
                f"device cuda:{index} does not exist: this machine has {gpus} usable GPUs{built}",
                remedy="choose --device cpu, or start no more processes than there are GPUs",
            )
        return torch.device("cuda", index)
    if resolved.type not in ("cpu", "meta"):
        raise UsageError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> Precision:
    """Return the precision that a name stands for on a device.

    Raises:
        UsageError: there is no precision of such a name, or the device does not have it.
    """
    if precision == "auto":
        return "bf16" if _multiplies_bf16(device) else "fp32"
    if precision not in get_args(Precision):
        raise UsageError(
            f"precision is {precision!r}; expected auto, {', '.join(get_args(Precision))}"
        )
    if precision == "fp16" and device.type == "cpu":
        raise UsageError(
            "precision fp16 needs a GPU", remedy="choose auto, fp32 or bf16 on a processor"
        )
    return cast(Precision, precision)


def _multiplies_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: Mapping[str, Any] = {}
    if hasattr(torch.cpu, "get_capabilities"):  # not in every torch that we allow
        capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
