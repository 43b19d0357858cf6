"""`stresnet train --dry-run`: an estimate of what training takes; nothing is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stresnet.data.loading.dataset import ChunkDataset, SampleKey
from stresnet.data.store.index import is_stored
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.training.distributed import DistributedContext, distributed_context
from stresnet.training.initialisation import network
from stresnet.training.loop import group_loss, groups_a_step, learner_of, stream_scores
from stresnet.training.optimizer import make_optimizer
from stresnet.training.plan import TrainingPlan
from stresnet.training.recipe import Phase, Recipe
from stresnet.training.runtime import Execution, own_random_state

TIMED_VIDEOS = 4  # of a group; the rest is in proportion
TIMED_SAMPLES = 3  # loaded to time the loader

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseEstimate:
    """What one phase takes.

    Attributes:
        phase: its part of the recipe.
        videos: in the training set.
        memory: bytes that a process needs at least: weights, gradients, momentum, and what one
            group leaves for its backward pass.
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
        times = phase.iterations * phase.batch / max(self.videos, 1)
        groups = groups_a_step(phase, 1)
        load = "not timed" if self.load is None else f"{1e3 * self.load:.0f} ms"
        return (
            f"{phase.name}: {phase.iterations} iterations of {phase.batch} videos"
            f"{f' in {groups} groups' if groups > 1 else ''}, each video {times:.1f} times; "
            f"{self.memory / 1e9:.2f} GB; a video: {1e3 * self.compute:.0f} ms to train on, "
            f"{load} to load; {self.hours:.2f} h"
        )


def estimate_training(
    job: TrainingPlan,
    execution: Execution = Execution(),  # noqa: B008
) -> list[PhaseEstimate]:
    """Estimate each phase from one timed group, and a few samples of videos already prepared.

    Raises:
        UsageError: there are more processes than groups, or no such device or precision.
        StoreError: a prepared video is damaged.
    """
    videos, classes = job.split.train, len(job.split.class_names)
    prepared = [item for item in videos if is_stored(job.store, item.name)]
    for warning in job.warnings:
        logger.warning(warning)
    rest = "; `stresnet prepare DATA --dry-run` estimates the others"
    logger.info(
        f"{len(prepared)} of {len(videos)} training videos are prepared in {job.store}"
        f"{rest if len(prepared) < len(videos) else ''}"
    )
    with distributed_context(execution.device) as context:
        execution = execution.resolved(context.device)
        estimates = [
            estimate_phase(
                job.recipe,
                phase,
                num_classes=classes,
                videos=len(videos),
                dataset=job.samples(phase, prepared),
                context=context,
                execution=execution,
            )
            for phase in job.phases
        ]
    total = sum(estimate.hours for estimate in estimates)
    for line in (
        *map(str, estimates),
        f"in all {total:.2f} h on {context.device.type} in {execution.precision}, "
        f"{context.world_size} {'process' if context.world_size == 1 else 'processes'}, estimated "
        "from one timed group for each phase",
    ):
        logger.info(line)
    return estimates


def estimate_phase(
    recipe: Recipe,
    phase: Phase,
    *,
    num_classes: int,
    videos: int,
    dataset: ChunkDataset,
    context: DistributedContext,
    execution: Execution,
) -> PhaseEstimate:
    """Time one group on random input, and the loading of a few samples.

    Args:
        videos: in the training set.
        dataset: those that are prepared already, perhaps none.
        execution: resolved; if `compiled`, the time without compilation is taken.

    Raises:
        UsageError: there are more processes than groups.
        StoreError: a prepared video is damaged.
    """
    groups_a_step(phase, context.world_size)
    execution = replace(execution, compiled=False)
    with own_random_state(context.device):
        compute, memory = train_on_noise(recipe, phase, num_classes, context.device, execution)
    load = loading_seconds(dataset) if dataset.items else None
    waited = 0.0 if load is None else load / max(execution.workers, 1)
    video = max(compute, waited) if execution.workers else compute + waited
    hours = video * phase.batch * phase.iterations / context.world_size / 3600
    return PhaseEstimate(phase, videos, memory, compute, load, hours)


def train_on_noise(
    recipe: Recipe, phase: Phase, num_classes: int, device: torch.device, execution: Execution
) -> tuple[float, int]:
    """Seconds for a video, forward and backward, and bytes that a whole group needs at least."""
    net = network(recipe, phase, num_classes)
    learner = learner_of(net, phase).to(device)
    timed = min(TIMED_VIDEOS, phase.norm_group)
    shape = (timed, phase.chunks, 3 + 2 * FLOW_FIELDS, recipe.input_size, recipe.input_size)
    seen = torch.randint(256, shape, dtype=torch.uint8).to(device)
    truth = torch.zeros(timed, dtype=torch.long, device=device)
    with execution.forward_of(learner) as forward:

        def forward_and_backward() -> None:
            with execution.autocast(device):
                scores = stream_scores(forward, phase, seen[:, :, :3], seen[:, :, 3:])
            torch.autograd.backward(group_loss(scores, truth, recipe))

        of_weights = {p.untyped_storage().data_ptr() for p in learner.parameters()}
        kept = kept_for_backward(forward_and_backward, of_weights)  # also warms caches up
        wait(device)
        began = time.perf_counter()
        forward_and_backward()
        wait(device)
    seconds = (time.perf_counter() - began) / timed
    weights = sum(p.numel() * p.element_size() for p in learner.parameters())
    trained = sum(p.numel() * p.element_size() for p in learner.parameters() if p.requires_grad)
    moments = len(make_optimizer(learner, recipe, phase).defaults.get("betas", (0,)))  # 2 in AdamW
    activations = kept * phase.norm_group // timed
    return seconds, weights + trained * (1 + moments) + activations


def kept_for_backward(passes: Callable[[], object], besides: Collection[int] = ()) -> int:
    """Bytes that autograd keeps in `passes`, each storage once, except those at `besides`."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        passes()
    return sum(size for place, size in storages.items() if place not in besides)


def loading_seconds(dataset: ChunkDataset) -> float:
    """Seconds to load one sample in one process, the mean over a few."""
    began = time.perf_counter()
    for slot in range(TIMED_SAMPLES):
        _ = dataset[SampleKey(0, slot, slot % len(dataset.items))]
    return (time.perf_counter() - began) / TIMED_SAMPLES


def wait(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
