"""The memory that a training step of each phase takes, counted; no GPU is needed, nothing computed.

    python benchmarks/memory.py [--recipe paper] [--card 24] [--phases st_resnet]

A step runs on tensors that have a shape and no content (torch's FakeTensorMode), and every block of
memory is noted when it is taken and when it is let go: weights, gradients, momentum, one
normalisation group's bytes, and what its forward pass keeps and its backward pass needs. Not
counted: what convolutions take to work in, blocks lost to fragmentation, and the driver's own
memory, together some 1 to 2 GiB on a GPU.
"""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model import commit_running_moments
from stresnet.training.initialisation import network
from stresnet.training.loop import group_loss, stream_scores
from stresnet.training.optimizer import make_optimizer, set_rate
from stresnet.training.recipe import Phase, Recipe
from stresnet.training.recipes import recipe_named
from stresnet.training.runtime import Execution

WAYS = {
    "float32": Execution("cpu", "fp32", channels_last=False),  # `step_bytes` lays the filters out
    "recomputed": Execution("cpu", "fp32", channels_last=False, recompute=True),
    "bf16": Execution("cpu", "bf16", channels_last=False),
    "bf16, recomputed": Execution("cpu", "bf16", channels_last=False, recompute=True),
}
NUM_CLASSES = 101
OVERHEAD = 2.0  # GiB, of what is not counted; see above


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the storages that operations make inside the block.

    Attributes:
        now: in storages that still live.
        peak: the most at any time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._living: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._note(value.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._living:
            return

        def let_go(_: object) -> None:
            del self._living[key]
            self.now -= size

        self._living[key] = weakref.ref(storage, let_go)
        self.now += size
        self.peak = max(self.peak, self.now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--phases", nargs="+", help="all, if left out")
    parser.add_argument("--card", type=float, default=24, help="memory of the GPU, GiB")
    options = parser.parse_args()
    recipe = recipe_named(options.recipe)
    table = Table(
        "phase", "videos a group", "chunks", *WAYS,
        title=f"{recipe.name}, ResNet-{recipe.depth}, {recipe.input_size} px: GiB of a step "
        f"(* does not fit {options.card:.0f} GiB, {OVERHEAD:.0f} of them for what is not counted)",
    )  # fmt: skip
    for phase in recipe.phases:
        if options.phases and phase.name not in options.phases:
            continue
        peaks = [step_bytes(recipe, phase, execution) / 2**30 for execution in WAYS.values()]
        told = [f"{peak:.2f}{'*' * (peak + OVERHEAD > options.card)}" for peak in peaks]
        table.add_row(phase.name, str(phase.norm_group), str(phase.chunks), *told)
    Console(width=110).print(table)


def step_bytes(recipe: Recipe, phase: Phase, execution: Execution) -> int:
    """The most memory at any time, while the last group of a step is trained on, and at its end."""
    with counting() as memory:
        net = network(recipe, phase, NUM_CLASSES)
        learner: nn.Module = net.get_submodule(phase.stream) if phase.stream else net
        if phase.stream:
            del net  # the other stream stays on the host
        for parameter in learner.parameters():  # `Module.to` does not work without content
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        optimizer = make_optimizer(learner, recipe, phase)
        set_rate(optimizer, phase.learning_rate(0))
        for parameter in learner.parameters():  # as the groups before this one leave them
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()  # makes the momentum
        shape, size = (phase.norm_group, phase.chunks), (recipe.input_size, recipe.input_size)
        rgb = torch.empty(*shape, 3, *size, dtype=torch.uint8)
        flow = torch.empty(*shape, 2 * FLOW_FIELDS, *size, dtype=torch.uint8)
        truth = torch.empty(phase.norm_group, dtype=torch.long)
        with execution.forward_of(learner.train()) as forward:
            with execution.autocast(torch.device("cpu")):
                scores = stream_scores(forward, phase, rgb, flow)
            torch.autograd.backward(group_loss(scores, truth, recipe) / phase.batch)
        optimizer.step()
        commit_running_moments(learner)
    return memory.peak


@contextmanager
def counting() -> Iterator[PeakMemory]:
    """Tensors without content, and the count of their memory."""
    with FakeTensorMode(), PeakMemory() as memory:
        yield memory


if __name__ == "__main__":
    main()
