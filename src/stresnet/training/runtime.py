"""How the arithmetic of training is carried out. None of it changes what is computed, up to
rounding; each choice trades time, memory and exactness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.checkpoint import checkpoint

from stresnet.errors import UsageError
from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.sub_batch_norm import SubBatchNorm

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Execution:
    """The choices.

    Attributes:
        precision: "32-true"; or convolutions in bfloat16, or in float16 with a loss scaler that
            skips steps whose gradients overflow. Weights and moments stay float32.
        channels_last: maps lie channel by channel of each pixel: twice as fast on CPUs, in bf16.
            Where the network is compiled, the compiler lays them out.
        recompute: activation checkpointing: keep only what enters each residual unit, and compute
            the rest again for the backward pass. Less memory, a third more time.
        compiled: by `torch.compile`; the first step then takes minutes.

    Raises:
        UsageError: an unknown precision, or `recompute` together with `compiled`.
    """

    precision: Precision = "32-true"
    channels_last: bool = True
    recompute: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            expected = ", ".join(("auto", *get_args(Precision)))
            raise UsageError(f"precision is {self.precision!r}, expected one of {expected}")
        if self.recompute and self.compiled:
            raise UsageError(
                "recomputed activations cannot be compiled",
                remedy="leave out --recompute or --compile",
            )

    def forward_of(self, learner: nn.Module) -> Callable[..., Any]:
        """The forward pass of `learner`, in place where the choices want it."""
        if self.channels_last and not self.compiled:  # torch's stubs do not know this overload
            learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.recompute:
            recompute_units(learner)
        return torch.compile(learner) if self.compiled else learner

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context of the forward pass."""
        if self.precision == "32-true":
            return nullcontext()
        return torch.autocast(device.type, AUTOCAST[self.precision])

    def scaler(self, device: torch.device) -> GradScaler:
        """Scales the loss so that float16 gradients do not vanish; else does nothing."""
        return GradScaler(device.type, enabled=self.precision == "16-mixed")


def precision_of(name: str, device: torch.device) -> Precision:
    """Resolve "auto": bfloat16 where the processor multiplies it natively, else 32 bits."""
    if name != "auto":
        return name  # type: ignore[return-value]  # Execution checks it
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"


def recompute_units(learner: nn.Module) -> None:
    """Have every residual unit forget its activations, and compute them again when needed.

    The wrap is around `forward`, so that names of weights stay.
    """
    for unit in learner.modules():
        if isinstance(unit, ResidualUnit):
            unit.forward = partial(  # type: ignore[method-assign]
                checkpoint,
                unit.forward,
                use_reentrant=False,
                preserve_rng_state=False,  # units draw nothing at random
                context_fn=partial(_first_and_second_pass, unit),
            )


def _first_and_second_pass(
    unit: ResidualUnit,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _moments_counted_once(unit)


@contextmanager
def _moments_counted_once(unit: ResidualUnit) -> Iterator[None]:
    """What the norms of `unit` collect inside the block is dropped."""
    collected = [
        tensor
        for norm in unit.modules()
        if isinstance(norm, SubBatchNorm)
        for tensor in (norm.collected_mean, norm.collected_spread, norm.collected_groups)
    ]
    before = [tensor.clone() for tensor in collected]
    try:
        yield
    finally:
        for tensor, value in zip(collected, before, strict=True):
            tensor.copy_(value)
