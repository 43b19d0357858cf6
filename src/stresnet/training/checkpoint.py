"""A training checkpoint: one safetensors file with weights, momentum and the step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from stresnet.errors import TrainingError
from stresnet.files import atomic_write

WEIGHT, STATE = "net.", "optimizer."  # what the names of tensors begin with


@dataclass(frozen=True)
class TrainingState:
    """All that changes while a phase is trained, except the step.

    Sampling is a pure function of (seed, step, slot), dropout of (seed, step, group), so there is
    no loader or generator state.

    Attributes:
        learner: what the phase trains: the network, or one stream of it.
    """

    learner: nn.Module
    optimizer: Optimizer
    scaler: GradScaler


def checkpoint_path(folder: Path, phase: str) -> Path:
    """Return the path of a phase's checkpoint in a run's folder."""
    return folder / f"{phase}.checkpoint.safetensors"


def save_checkpoint(path: Path, progress: TrainingState, step: int, fingerprint: str) -> None:
    """Write all that a phase needs to resume after `step` finished iterations.

    Args:
        fingerprint: identifies recipe, data and seed; a checkpoint with another is refused.
    """
    tensors = _prefixed(WEIGHT, progress.learner.state_dict())
    for index, state in progress.optimizer.state_dict()["state"].items():
        kept = {key: value for key, value in state.items() if isinstance(value, Tensor)}
        tensors |= _prefixed(f"{STATE}{index}.", kept)
    metadata = {
        "step": str(step),
        "fingerprint": fingerprint,
        "scaler": json.dumps(progress.scaler.state_dict()),
    }
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata=metadata)


def load_checkpoint(path: Path, progress: TrainingState, fingerprint: str) -> int:
    """Load the state in `path` into `progress`; return the number of finished iterations.

    Raises:
        TrainingError: the file is damaged, or belongs to another recipe, seed or data set.
    """
    metadata, tensors = _read(path)
    if metadata.get("fingerprint") != fingerprint:
        raise TrainingError(
            f"{path}: belongs to another recipe, seed or data set",
            remedy="train into another folder, or give the options of the first call",
        )
    progress.learner.load_state_dict(_named(tensors, WEIGHT))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _named(tensors, STATE).items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    progress.optimizer.load_state_dict({**progress.optimizer.state_dict(), "state": state})
    if scaled := json.loads(metadata["scaler"]):
        progress.scaler.load_state_dict(scaled)
    return int(metadata["step"])


def weights_of(path: Path) -> tuple[int, dict[str, Tensor]]:
    """Return the number of finished iterations and the learner's state_dict in `path`.

    Raises:
        TrainingError: the file is damaged.
    """
    metadata, tensors = _read(path)
    return int(metadata["step"]), _named(tensors, WEIGHT)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"{path}: not a readable checkpoint ({error})",
            remedy="delete it; its phase starts again",
        ) from error


def _prefixed(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{start}{key}": value.contiguous() for key, value in tensors.items()}


def _named(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
