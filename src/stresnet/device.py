"""Where a network runs and with which numbers: one meaning of `device` and of `precision`.

Every verb and every function that takes one of them means the same by it:

    device      "auto" (the first GPU, or the CPU where there is none), "cpu", "cuda", "cuda:1"
    precision   "auto" (bf16 where the device multiplies it natively, else fp32),
                "fp32", "bf16", "fp16"

$STRESNET_PRECISION says what "auto" stands for instead: the same on all machines of a cluster.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from stresnet.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:  # torch takes a second to import, and `--help` needs none of it
    import torch

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
PRECISION = "STRESNET_PRECISION"


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


def gpu(device: str | torch.device = "auto", *, worker: int = 0) -> torch.device | None:
    """Return the GPU that a name stands for; None if that is the processor.

    Like `resolve_device`, but torch, a second of imports, is asked only where there may be a GPU.

    Args:
        worker: number of this process among those that share the work; "auto" and "cuda" spread
            them over the GPUs in turn.

    Raises: as in `resolve_device`.
    """
    if str(device) == "cpu" or (str(device) == "auto" and not _may_have_gpu()):
        return None
    import torch

    found = resolve_device(device, rank=worker % max(torch.cuda.device_count(), 1))
    return None if found.type == "cpu" else found


def _may_have_gpu() -> bool:
    """False where it is certain that torch will find none; on Linux a GPU is a file in /dev."""
    if "torch" in sys.modules or sys.platform != "linux":
        return True
    return any(any(Path("/dev").glob(name)) for name in ("nvidia[0-9]*", "nvhost*", "dxg", "kfd"))


@contextmanager
def gpu_errors(device: torch.device, work: str, *, lower: str) -> Iterator[None]:
    """Turn what a GPU's driver and torch raise into an `EnvironmentProblem` with a remedy.

    Args:
        work: what the GPU was asked to do.
        lower: what to lower, so that it needs less memory.

    Raises:
        EnvironmentProblem: the GPU is out of memory, busy, or gone.
    """
    import torch

    try:
        yield
    except RuntimeError as error:  # torch's errors of devices are of this kind
        reason = str(error).strip().partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or "out of memory" in reason:
            raise EnvironmentProblem(
                f"{device}: out of memory for {work}",
                remedy=f"end other programs on the device, or choose {lower} or --device cpu",
            ) from error
        if device.type == "cpu" or not _OF_A_GPU.search(reason):
            raise
        raise EnvironmentProblem(
            f"{device}: busy, or gone, when it was given {work} ({reason})",
            remedy="look at nvidia-smi: what runs on it, and whether it is listed; then start "
            "again, or choose --device cpu",
        ) from error


_OF_A_GPU = re.compile("CUDA|CUBLAS|CUDNN|NVML|NCCL|HIP", re.IGNORECASE)


def resolve_precision(precision: str, device: torch.device) -> Precision:
    """Return the precision that a name stands for on a device.

    Raises:
        UsageError: there is no precision of such a name, or the device does not have it.
    """
    said_by = "precision"
    if precision == "auto" and (variable := os.environ.get(PRECISION)):
        precision, said_by = variable, f"${PRECISION}"
    if precision == "auto":
        return "bf16" if _multiplies_bf16(device) else "fp32"
    if precision not in get_args(Precision):
        raise UsageError(
            f"{said_by} is {precision!r}; expected auto, {', '.join(get_args(Precision))}"
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
