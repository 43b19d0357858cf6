"""Load tensors into a network: all of them, or none if one does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stresnet.errors import WeightsError, in_short
from stresnet.model.temporal_convolution import TemporalInit, inflate

DRAWING = (nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.normal_, Tensor.normal_)


class NothingDrawn(TorchFunctionMode):
    """A context in which no random numbers are drawn, for networks that are loaded right away.

    Drawing the weights of two ResNet-50 streams takes longer than reading their file.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if function in DRAWING:
            return args[0] if args else given["tensor"]
        return function(*args, **given)


def fit(
    net: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: object,
    keep: Collection[str] = (),
    temporal_init: TemporalInit = "average",
) -> None:
    """Copy `tensors` into the state of `net`, inflating 1x1 filters where `net` is temporal.

    Args:
        tensors: named as in its state_dict; cast to its dtype.
        source: where they come from, for error messages.
        keep: names that `tensors` may lack.
        temporal_init: how 1x1 filters become temporal ones (see `inflate`).

    Raises:
        WeightsError: a tensor is missing, unknown, or of another shape; nothing is copied.
    """
    state = net.state_dict()
    fitted = {
        name: _inflated_to(state[name], tensor, temporal_init)
        for name, tensor in tensors.items()
        if name in state
    }
    problems = {
        "missing": [name for name in state if name not in tensors and name not in keep],
        "not of this network": [name for name in tensors if name not in state],
        "of another shape": [
            f"{name} {tuple(tensor.shape)}, expected {tuple(state[name].shape)}"
            for name, tensor in fitted.items()
            if tensor.shape != state[name].shape
        ],
    }
    found = [f"{len(names)} {kind}: {in_short(names)}" for kind, names in problems.items() if names]
    if found:
        raise WeightsError(
            f"{source}: the tensors do not fit the network; " + "; ".join(found),
            remedy="build the network with the depth, classes and connections of the file",
        )
    with torch.no_grad():
        for name, tensor in fitted.items():
            state[name].copy_(tensor)


def _inflated_to(target: Tensor, tensor: Tensor, how: TemporalInit) -> Tensor:
    """`inflate` the tensor if it is a 1x1 filter and the target a temporal one (out, in, 3)."""
    if target.ndim == 3 and tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
        return inflate(tensor.to(target.dtype), how)
    return tensor
