"""How training is executed: where, with which numbers, in how much memory.

None of it changes what is computed, up to rounding; each choice trades time, memory and exactness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.utils.checkpoint import checkpoint

from stresnet.device import resolve_precision
from stresnet.errors import UsageError
from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.sub_batch_norm import collected_moments

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Execution:
    """Where and how a training is carried out. A run may be resumed with other choices.

    Attributes:
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        precision: "fp32"; or convolutions in "bf16", or in "fp16" with a loss scaler that skips
            steps whose gradients overflow (GPUs only). Weights and moments stay float32. "auto":
            bf16 where the device multiplies it natively, else fp32.
        workers: loader processes for each training process; 0 loads in the training process.
        channels_last: store each pixel's channels together: twice as fast on CPUs, in bf16. A
            compiled network is laid out by the compiler.
        recompute: activation checkpointing: keep only what enters each residual unit, and compute
            the rest again for the backward pass. Less memory, a third more time.
        compiled: use `torch.compile`; the first step then takes minutes.

    Raises:
        UsageError: fewer than 0 workers, or `recompute` with `compiled`.
    """

    device: str = "auto"
    precision: str = "auto"
    workers: int = 1
    channels_last: bool = True
    recompute: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UsageError(f"workers is {self.workers}; expected 0 or more")
        if self.recompute and self.compiled:
            raise UsageError(
                "recomputed activations cannot be compiled",
                remedy="leave out --recompute or --compile",
            )

    def resolved(self, device: torch.device) -> Execution:
        """Return the same choices with every "auto" resolved for `device`.

        Raises:
            UsageError: there is no such precision, or the device does not have it.
        """
        return replace(
            self, device=str(device), precision=resolve_precision(self.precision, device)
        )

    @contextmanager
    def forward_of(self, learner: nn.Module) -> Iterator[Callable[..., Any]]:
        """Give the forward pass of `learner`, whose own pass is unchanged after the block."""
        if self.compiled:
            yield torch.compile(learner)
            return
        if self.channels_last:  # torch's stubs do not know this overload
            learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with recomputed(learner) if self.recompute else nullcontext():
            yield learner

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context of the forward pass. (Call `resolved` first.)"""
        dtype = AUTOCAST[self.precision]
        return nullcontext() if dtype is None else torch.autocast(device.type, dtype)

    def scaler(self, device: torch.device) -> GradScaler:
        """Return a loss scaler that keeps float16 gradients from vanishing, or does nothing."""
        return GradScaler(device.type, enabled=self.precision == "fp16")


@contextmanager
def own_random_state(device: torch.device) -> Iterator[None]:
    """Restore torch's global random state after the block."""
    on_gpus = device.type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpus else []):
        yield


@contextmanager
def recomputed(learner: nn.Module) -> Iterator[None]:
    """Have every residual unit drop its activations, and compute them again when needed.

    `forward` is wrapped, so that weights keep their names; the end of the block unwraps it.
    """
    units = [unit for unit in learner.modules() if isinstance(unit, ResidualUnit)]
    for unit in units:
        unit.forward = partial(  # type: ignore[method-assign]
            checkpoint,
            unit.forward,
            use_reentrant=False,
            preserve_rng_state=False,  # units draw nothing at random
            context_fn=partial(_first_and_second_pass, unit),
        )
    try:
        yield
    finally:
        for unit in units:
            del unit.forward  # the instance's; the class has its own


def _first_and_second_pass(
    unit: ResidualUnit,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _moments_kept(unit)


@contextmanager
def _moments_kept(unit: ResidualUnit) -> Iterator[None]:
    """Drop what the norms of `unit` collect inside the block, which is the second pass."""
    collected = [(tensor, tensor.clone()) for tensor in collected_moments(unit)]
    try:
        yield
    finally:
        for tensor, before in collected:
            tensor.copy_(before)
