"""`stresnet train --dry-run`: what a training will take, before it is begun."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from stresnet.data.loading.dataset import ChunkDataset, SampleKey
from stresnet.model.st_resnet import FLOW_FIELDS
from stresnet.training.distributed import Place
from stresnet.training.initialisation import network
from stresnet.training.loop import group_loss, groups_a_step, stream_scores
from stresnet.training.optimizer import make_optimizer
from stresnet.training.recipes import Phase, Recipe
from stresnet.training.runtime import Execution

TIMED_VIDEOS = 4  # of a group; the rest is in proportion
TIMED_SAMPLES = 3  # loaded to time the loader


@dataclass(frozen=True)
class PhasePlan:
    """What one phase will take.

    Attributes:
        phase: its recipe.
        videos: in the training set.
        memory: bytes that a process needs at least: weights, gradients, momentum, and
            what one group leaves for its backward pass.
        compute: seconds of one process for a video, forward and backward.
        load: seconds of one loader process for a video; None where no video is prepared yet.
        hours: of the whole phase.
    """

    phase: Phase
    videos: int
    memory: int
    compute: float
    load: float | None
    hours: float

    def __str__(self) -> str:
        phase = self.phase
        samples = phase.iterations * phase.batch
        load = "not timed" if self.load is None else f"{1e3 * self.load:.0f} ms"
        return (
            f"{phase.name}: {phase.iterations} iterations of {phase.batch} videos in "
            f"{groups_a_step(phase, 1)} groups; {samples} samples, "
            f"each video {samples / max(self.videos, 1):.1f} times; "
            f"{self.memory / 1e9:.2f} GB; a video: {1e3 * self.compute:.0f} ms to train on, "
            f"{load} to load; {self.hours:.2f} h"
        )


def plan_phase(
    recipe: Recipe,
    phase: Phase,
    *,
    num_classes: int,
    videos: int,
    dataset: ChunkDataset,
    place: Place,
    execution: Execution,
    workers: int,
) -> PhasePlan:
    """Time one group on random input, and the loading of a few samples; nothing is written.

    Args:
        videos: in the training set.
        dataset: those of them that are prepared already, perhaps none.
        execution: where it says `compiled`, the time without compilation is taken.

    Raises:
        UsageError: there are more processes than groups.
        StoreError: a prepared video is damaged.
    """
    groups_a_step(phase, place.processes)
    execution = replace(execution, compiled=False)
    compute, memory = train_on_noise(recipe, phase, num_classes, place, execution)
    load = loading_seconds(dataset) if dataset.items else None
    waited = 0.0 if load is None else load / max(workers, 1)
    video = max(compute, waited) if workers else compute + waited
    hours = video * phase.batch * phase.iterations / place.processes / 3600
    return PhasePlan(phase, videos, memory, compute, load, hours)


def train_on_noise(
    recipe: Recipe, phase: Phase, num_classes: int, place: Place, execution: Execution
) -> tuple[float, int]:
    """Seconds a video, forward and backward, and bytes that a whole group needs at least."""
    net = network(recipe, phase, num_classes)
    learner: nn.Module = net.get_submodule(phase.stream) if phase.stream else net
    learner.to(place.device).train()
    forward = execution.forward_of(learner)
    timed = min(TIMED_VIDEOS, phase.norm_group)
    shape = (timed, phase.chunks, 3 + 2 * FLOW_FIELDS, recipe.input_size, recipe.input_size)
    seen = torch.randint(256, shape, dtype=torch.uint8).to(place.device)
    truth = torch.zeros(timed, dtype=torch.long, device=place.device)

    def forward_and_backward() -> None:
        with execution.autocast(place.device):
            scores = stream_scores(forward, phase, seen[:, :, :3], seen[:, :, 3:])
        torch.autograd.backward(group_loss(scores, truth, recipe))

    kept = KeptForBackward()
    with torch.autograd.graph.saved_tensors_hooks(kept.note, lambda tensor: tensor):
        forward_and_backward()  # also warms caches up
    wait(place.device)
    began = time.perf_counter()
    forward_and_backward()
    wait(place.device)
    seconds = (time.perf_counter() - began) / timed
    weights = sum(p.numel() * p.element_size() for p in learner.parameters())
    moments = len(make_optimizer(learner, recipe).defaults.get("betas", (0,)))  # 2 in AdamW
    activations = (kept.bytes - weights) * phase.norm_group // timed
    return seconds, weights * (2 + moments) + max(activations, 0)


class KeptForBackward:
    """Adds up what autograd keeps, each storage once."""

    def __init__(self) -> None:
        self._storages: dict[int, int] = {}

    def note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        return sum(self._storages.values())


def loading_seconds(dataset: ChunkDataset) -> float:
    """Seconds to load one sample in one process, the mean over a few."""
    began = time.perf_counter()
    for slot in range(TIMED_SAMPLES):
        _ = dataset[SampleKey(0, slot, slot % len(dataset.items))]
    return (time.perf_counter() - began) / TIMED_SAMPLES


def wait(device: torch.device) -> None:
    """Until the device has done what was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plan_lines(plans: Sequence[PhasePlan], place: Place) -> list[str]:
    """The plan for a person."""
    total = sum(plan.hours for plan in plans)
    return [
        *map(str, plans),
        f"in all {total:.2f} h on {place.device.type}, {place.processes} processes, "
        "estimated from one timed group a phase",
    ]
