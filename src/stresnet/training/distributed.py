"""Several processes that train one network, started by torchrun: where each is, what they share.

Every process holds the whole network and trains some of a step's normalisation groups. Once a step
the gradients are added up, in the order of the groups, so that all processes step alike; the
running moments are averaged by `commit_running_moments`. DistributedDataParallel would add nothing:
it hides communication behind one backward pass, and here a step has many.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.functional import pad

from stresnet.errors import EnvironmentProblem, UsageError

TIMEOUT = timedelta(minutes=10)  # until a process that does not answer is taken for dead
PATIENCE = timedelta(days=30)  # while the first process prepares videos


@dataclass(frozen=True)
class Place:
    """Where this process trains.

    Attributes:
        device: its own.
        rank: which of the processes it is, from 0; the first one writes files and speaks.
        processes: how many there are.
        patient: process group for what may take long.
    """

    device: torch.device
    rank: int = 0
    processes: int = 1
    patient: Any = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of `values` (n,) over all processes, in the order of their ranks, on each.

        An all-reduce in two halves: process r adds up the r-th part, then gives it to all. The
        traffic is that of `distributed.all_reduce`, whose order of addition is not fixed.
        """
        if self.processes == 1:
            return values
        given = pad(values, (0, -len(values) % self.processes))
        received = torch.empty_like(given)
        distributed.all_to_all_single(received, given)
        summed, *others = received.view(self.processes, -1).unbind()
        for other in others:
            summed += other  # one after the other: a sum over an axis may take another order
        distributed.all_gather(list(given.view(self.processes, -1)), summed)
        return given[: len(values)]

    def add_up_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Give every parameter the sum of its gradients over all processes."""
        if self.processes == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One message, not hundreds.
        total = self.add_up(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(total, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def from_first(self, value: Any) -> Any:
        """The first process's `value`, on each; waits for it as long as it takes."""
        if self.processes == 1:
            return value
        told = [value]
        distributed.broadcast_object_list(told, src=0, group=self.patient)
        return told[0]

    def from_all(self, value: Any) -> list[Any]:
        """Every process's `value`, by rank; also a barrier."""
        if self.processes == 1:
            return [value]
        told: list[Any] = [None] * self.processes
        distributed.all_gather_object(told, value, group=self.patient)
        return told


@contextmanager
def joined(device: str = "auto") -> Iterator[Place]:
    """Join the processes that torchrun started, if it did, over gloo on CPU and nccl on GPU.

    Args:
        device: "auto" (a GPU if there is one), "cpu" or "cuda"; each process takes the GPU of its
            number on its machine.

    Raises:
        UsageError: another device.
        EnvironmentProblem: there is no GPU.
    """
    own = device_of(device, int(os.environ.get("LOCAL_RANK", "0")))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        yield Place(own)
        return
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "nccl" if own.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        patient = distributed.new_group(backend="gloo", timeout=PATIENCE)
        yield Place(own, distributed.get_rank(), processes, patient)
    finally:
        distributed.destroy_process_group()


def device_of(name: str, index: int = 0) -> torch.device:
    """The device called "auto", "cpu" or "cuda"; GPU `index` where it is one.

    Raises:
        UsageError: another name.
        EnvironmentProblem: there is no GPU of that index.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device is {name!r}, expected 'auto', 'cpu' or 'cuda'")
    gpus = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and gpus == 0):
        return torch.device("cpu")
    if index >= gpus:
        raise EnvironmentProblem(
            f"process {index} of this machine has no GPU: there are {gpus}",
            remedy="start no more processes than there are GPUs, or use --device cpu",
        )
    return torch.device("cuda", index)
