"""Several processes that train one network, started by torchrun: who is who, and what they share.

Every process holds the whole network and trains some of a step's normalisation groups. Once per
step the gradients, and the moments that the norms collected, are summed over the processes in the
order of their ranks, so that all step alike. DistributedDataParallel would add nothing: it hides
communication behind one backward pass, and here a step has many.

With one group for each process the sum is, bit for bit, that of one process that takes the groups
one after the other. With several groups for each process it is (g0 + g2) + (g1 + g3) instead of
((g0 + g1) + g2) + g3, and the results agree up to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.functional import pad

from stresnet.device import resolve_device

TIMEOUT = timedelta(minutes=10)  # until a process that does not answer counts as dead
SLOW_TIMEOUT = timedelta(days=30)  # the same while the first process prepares videos


@dataclass(frozen=True)
class DistributedContext:
    """This process among those that train together.

    Attributes:
        device: this process's.
        rank: from 0; the first process writes files and logs.
        world_size: number of processes.
        slow_group: process group for collectives that may take long.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1
    slow_group: Any = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def all_reduce_in_order(self, values: Tensor) -> Tensor:
        """Return the sum of `values` (n,) over all processes, in the order of their ranks.

        An all-reduce in two halves: process r sums the r-th part, then all gather the parts. The
        traffic is that of `distributed.all_reduce`, whose order of addition is not fixed.
        """
        if self.world_size == 1:
            return values
        given = pad(values, (0, -len(values) % self.world_size))
        received = torch.empty_like(given)
        distributed.all_to_all_single(received, given)
        summed, *others = received.view(self.world_size, -1).unbind()
        for other in others:
            summed += other  # one after the other: a sum over an axis may take another order
        distributed.all_gather(list(given.view(self.world_size, -1)), summed)
        return given[: len(values)]

    def sum_in_order(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor its sum over all processes, in the order of their ranks."""
        if self.world_size == 1:
            return
        # One message instead of hundreds.
        total = self.all_reduce_in_order(torch.cat([tensor.flatten() for tensor in tensors]))
        parts = torch.split(total, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather_objects(self, value: Any) -> list[Any]:
        """Return every process's `value`, by rank; wait for each as long as it takes."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value, group=self.slow_group)
        return values


@contextmanager
def distributed_context(device: str = "auto") -> Iterator[DistributedContext]:
    """Join the processes that torchrun started, if it did, over gloo on CPUs and nccl on GPUs.

    Args:
        device: see `resolve_device`; "auto" and "cuda" give each process of a machine its own GPU.

    Raises:
        UsageError: there is no device of such a name.
        EnvironmentProblem: this machine does not have it.
    """
    own = resolve_device(device, rank=int(os.environ.get("LOCAL_RANK", "0")))
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield DistributedContext(own)
        return
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "nccl" if own.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        slow_group = distributed.new_group(backend="gloo", timeout=SLOW_TIMEOUT)
        yield DistributedContext(own, distributed.get_rank(), world_size, slow_group)
    finally:
        distributed.destroy_process_group()
