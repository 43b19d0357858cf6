"""The one training loop, top to bottom."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.functional import cross_entropy

from stresnet.data.loading.dataset import ChunkDataset, SampleKey, StepSampler
from stresnet.errors import TrainingError, UsageError, in_short
from stresnet.model import STResNet, commit_running_moments
from stresnet.model.sub_batch_norm import (
    average_moments,
    collected_moments,
    forget_moments,
    norms_of,
)
from stresnet.training.checkpoint import (
    TrainingState,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from stresnet.training.distributed import DistributedContext
from stresnet.training.interrupt import Interrupted, StoppedEarly, stop_requested, stopping_early
from stresnet.training.loading import GroupSampler, load_groups
from stresnet.training.log import RunLog, group_measures, mean_measures, number_of_measures
from stresnet.training.optimizer import make_optimizer, set_rate
from stresnet.training.recipe import Phase, Recipe
from stresnet.training.runtime import Execution, own_random_state

CHECKPOINT_SECONDS = 120.0  # between checkpoints

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseRun:
    """All that one phase needs in addition to the network.

    Attributes:
        folder: of the run; the phase's checkpoint and log lie there.
        fingerprint: identifies recipe, data and seed; see `save_checkpoint`.
        context: which of how many processes this is, and its device.
        execution: precision, memory and speed, resolved for that device.
    """

    recipe: Recipe
    phase: Phase
    dataset: ChunkDataset
    folder: Path
    fingerprint: str
    seed: int
    context: DistributedContext
    execution: Execution

    @property
    def checkpoint(self) -> Path:
        return checkpoint_path(self.folder, self.phase.name)


def train_phase(net: STResNet, run: PhaseRun) -> None:
    """Train the streams that the phase names, in place; resume from its checkpoint if there is one.

    Each process takes its share of a step's normalisation groups; what is computed does not depend
    on their number, up to the order in which gradients are added.

    Raises:
        UsageError: there are more processes than groups.
        TrainingError: the loss is not finite, or a loader worker died.
        StoreError: a prepared video is damaged.
        Interrupted: SIGINT or SIGTERM; the checkpoint is written.
    """
    phase, recipe, context, execution = run.phase, run.recipe, run.context, run.execution

    # -- What learns: one stream or both ----------------------------------------------------
    learner = learner_of(net, phase).to(context.device)
    average_moments(learner, recipe.running_moments)
    optimizer, scaler = make_optimizer(learner, recipe, phase), execution.scaler(context.device)
    state = TrainingState(learner, optimizer, scaler)
    finished = 0
    if run.checkpoint.exists():
        finished = load_checkpoint(run.checkpoint, state, run.fingerprint)
    if context.is_first:
        done = "done before" if finished == phase.iterations else f"{finished} of them done before"
        work = f"{phase.iterations} iterations of {phase.batch} videos"
        logger.info(f"{phase.name}: {work}{f', {done}' if finished else ''}")
    if finished == phase.iterations:
        return

    # -- Videos, a normalisation group at a time ----------------------------------------------
    groups_in_all = groups_a_step(phase, context.world_size)
    own_groups = range(context.rank, groups_in_all, context.world_size)
    steps = StepSampler(
        len(run.dataset.items),
        phase.batch,
        seed=run.seed,
        first_step=finished,
        last_step=phase.iterations,
    )
    sampler = GroupSampler(steps, phase.norm_group, context.rank, context.world_size)
    on_gpu = context.device.type == "cuda"

    # -- Iterations -----------------------------------------------------------------------------
    saved = time.monotonic()
    log = RunLog(run.folder, phase.name, finished, phase.iterations) if context.is_first else None
    with (
        closing(log) if log else nullcontext(),
        own_random_state(context.device),
        stop_requested() as stop,
        stopping_early(learner, stop) if not execution.compiled else nullcontext(),
        execution.forward_of(learner) as forward,
        closing(load_groups(run.dataset, sampler, execution.workers, pin=on_gpu)) as groups,
    ):
        for step in range(finished, phase.iterations):
            began = time.monotonic()
            rate = phase.learning_rate(step)
            set_rate(optimizer, rate)
            measures: list[Tensor] = []  # of each group, (M,) on the device
            trained_on: list[list[SampleKey]] = []
            for _ in own_groups:
                try:
                    with stop.ends_waiting():
                        number, keys, *group = next(groups)
                    rgb, flow, truth = (  # (b,T,C,H,W) twice, (b,)
                        x.to(context.device, non_blocking=on_gpu) for x in group
                    )
                    # Dropout is a function of seed, step and group alone: the same after a restart,
                    # and whichever process trains the group.
                    torch.manual_seed(seed_of(run.seed, step, number))
                    with execution.autocast(context.device):
                        scores = stream_scores(forward, phase, rgb, flow)  # each (b,T',K)
                    loss = group_loss(scores, truth, recipe)
                    scaler.scale(loss / phase.batch).backward()  # type: ignore[no-untyped-call]
                except StoppedEarly:
                    break
                measures.append(group_measures(loss, scores, truth))
                trained_on.append(keys)
                if stop:
                    break

            # -- All processes agree: does the step count?
            totals, stopping = over_processes(context, phase, measures, stop.signal_number)
            if stopping:  # the unfinished step is dropped; its samples come again on resume
                if context.is_first:
                    save_checkpoint(run.checkpoint, state, step, run.fingerprint)
                context.gather_objects("stopped")  # torchrun ends all when the first process leaves
                raise Interrupted(stop.signal_number or signal.SIGTERM)
            row = mean_measures(totals, phase.streams)
            if not np.isfinite(row["loss"]):
                bad = names_of_bad(run.dataset, measures, trained_on)
                names = [name for names in context.gather_objects(bad) for name in names]
                raise not_finite(run, step, row["loss"], rate, names)
            # Only here is it known that the weights before this step were good ones.
            if context.is_first and time.monotonic() - saved > CHECKPOINT_SECONDS:
                save_checkpoint(run.checkpoint, state, step, run.fingerprint)
                saved = time.monotonic()

            # -- The step
            gradients = [p.grad for p in learner.parameters() if p.grad is not None]
            context.sum_in_order([*gradients, *collected_moments(learner)])
            if optimizer_step(optimizer, scaler):
                commit_running_moments(learner)
            else:
                forget_moments(learner)
            optimizer.zero_grad()
            if log:
                speed = phase.batch / (time.monotonic() - began)
                log.row(step, {"learning_rate": rate, **row, "videos_per_second": speed})
        if not all(parameter.isfinite().all() for parameter in learner.parameters()):
            raise not_finite(run, step, float("nan"), rate, [])
        if context.is_first:
            save_checkpoint(run.checkpoint, state, phase.iterations, run.fingerprint)
        if any(signals := context.gather_objects(stop.signal_number)):
            raise Interrupted(max(number or 0 for number in signals))


def learner_of(net: STResNet, phase: Phase) -> nn.Module:
    """What the phase trains, a stream or both, in training mode except for what stays fixed."""
    learner: nn.Module = net.get_submodule(phase.stream) if phase.stream else net
    learner.train()
    if phase.learns == "classifier":
        for name, parameter in learner.named_parameters():
            parameter.requires_grad_("classifier" in name)
    if phase.fixed_norms:
        for norm in norms_of(learner):
            norm.eval()
    return learner


def groups_a_step(phase: Phase, processes: int) -> int:
    """Normalisation groups in a batch; every process must have one.

    Raises:
        UsageError: there are more processes.
    """
    groups = -(-phase.batch // phase.norm_group)
    if processes > groups:
        raise UsageError(
            f"{phase.name}: {processes} processes, but a batch of {phase.batch} videos has only "
            f"{groups} normalisation groups of {phase.norm_group}, which stay whole",
            remedy=f"start at most {groups} processes for this phase (--phases)",
        )
    return groups


def seed_of(*numbers: int) -> int:
    """One seed from several numbers; if one of them changes, so does it."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def over_processes(
    context: DistributedContext, phase: Phase, measures: list[Tensor], signal_number: int | None
) -> tuple[Tensor, bool]:
    """The sum (M,) of all groups' measures, and whether any process was asked to stop."""
    none = torch.zeros(
        number_of_measures(phase.streams), dtype=torch.float64, device=context.device
    )
    asked = none.new_tensor([1.0 if signal_number else 0.0])
    own = torch.cat([torch.stack([none, *measures]).sum(0), asked])
    total = context.all_reduce_in_order(own).cpu()
    return total[:-1], bool(total[-1] > 0)


def optimizer_step(optimizer: torch.optim.Optimizer, scaler: GradScaler) -> bool:
    """False where float16 gradients overflowed: the step is skipped and the scale is lowered."""
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    return scaler.get_scale() >= scale


def stream_scores(
    forward: Callable[..., Tensor | tuple[Tensor, Tensor]], phase: Phase, rgb: Tensor, flow: Tensor
) -> dict[str, Tensor]:
    """Scores (b,T',K) of each stream that learns in this phase."""
    if phase.stream:
        return {phase.stream: forward(flow if phase.stream == "motion" else rgb)}  # type: ignore[dict-item]
    appearance, motion = forward(rgb, flow)
    return {"appearance": appearance, "motion": motion}


def group_loss(scores: dict[str, Tensor], truth: Tensor, recipe: Recipe) -> Tensor:
    """Cross-entropy summed over videos and streams, and summed or averaged over chunks (D10).

    One softmax per stream and chunk (section 3.4), or one on the streams' sum (`joint_softmax`).

    Args:
        scores: (b,T',K) of each stream.
        truth: (b,) class indices.
    """
    heads = list(scores.values())
    if recipe.joint_softmax:
        heads = [torch.stack(heads).sum(0)]
    total = torch.zeros((), device=truth.device)
    for logits in heads:
        chunks = logits.shape[1]
        every_chunk = cross_entropy(
            logits.float().flatten(0, 1),
            truth.repeat_interleave(chunks),
            reduction="sum",
        )
        total = total + (every_chunk if recipe.chunk_loss == "sum" else every_chunk / chunks)
    return total


def names_of_bad(
    dataset: ChunkDataset, measures: list[Tensor], keys: list[list[SampleKey]]
) -> list[str]:
    """The videos of the groups whose loss is not finite."""
    return [
        str(dataset.items[key.item][0])
        for group, members in zip(measures, keys, strict=True)
        if not group.isfinite().all()
        for key in members
    ]


def not_finite(
    run: PhaseRun, step: int, loss: float, rate: float, names: list[str]
) -> TrainingError:
    """The error for a loss, or weights, that are not finite."""
    what = f"the loss is {loss}" if names else "weights are not finite"
    samples = f", on {in_short(names)}" if names else ""
    kept = run.checkpoint.exists()
    last = f"{run.checkpoint.name} holds the last good state" if kept else "nothing was saved yet"
    return TrainingError(
        f"{run.phase.name}: {what} at iteration {step}{samples}",
        remedy=f"lower the learning rate ({rate}); {last}",
    )
