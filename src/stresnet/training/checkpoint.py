"""A training checkpoint: one safetensors file with weights, momentum and the step."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stresnet.errors import TrainingError
from stresnet.files import whole_file


def save_checkpoint(
    path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, step: int, fingerprint: str
) -> None:
    """Write all that a phase needs to go on after `step` finished iterations.

    Sampling is a pure function of (seed, step, slot), so there is no loader or generator state.

    Args:
        fingerprint: identifies recipe, data and seed; a checkpoint of another one is refused.
    """
    tensors = {f"net.{key}": value.contiguous() for key, value in net.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value.contiguous()
    with whole_file(path) as partial:
        save_file(tensors, partial, metadata={"step": str(step), "fingerprint": fingerprint})


def load_checkpoint(
    path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str
) -> int:
    """Put the state of `path` into `net` and `optimizer`; return the finished iterations.

    Raises:
        TrainingError: the file is damaged, or belongs to another recipe, seed or data set.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"{path}: not a readable checkpoint ({error})",
            remedy="delete it; its phase starts again",
        ) from error
    if metadata.get("fingerprint") != fingerprint:
        raise TrainingError(
            f"{path}: belongs to another recipe, seed or data set",
            remedy="train into another folder, or give the options of the first call",
        )
    weights = {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
    net.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(metadata["step"])
