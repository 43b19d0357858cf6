"""The one training loop, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from stresnet.data.chunks import ChunkDataset, Sample, SampleKey, StepSampler
from stresnet.errors import TrainingError
from stresnet.model import STResNet, commit_running_moments
from stresnet.training.checkpoint import load_checkpoint, save_checkpoint
from stresnet.training.log import RunLog, mean_rows
from stresnet.training.recipes import Phase, Recipe
from stresnet.training.stop import Interrupted, stop_requested

CHECKPOINT_SECONDS = 120.0  # between checkpoints
LOADER_TIMEOUT = 120.0  # seconds until a silent loader worker is taken for dead


@dataclass(frozen=True)
class PhaseRun:
    """All that one phase needs besides the network.

    Attributes:
        folder: of the run; the phase's checkpoint and log lie there.
        fingerprint: identifies recipe, data and seed; see `save_checkpoint`.
        workers: loader processes; 0 loads in the training process.
    """

    recipe: Recipe
    phase: Phase
    dataset: ChunkDataset
    folder: Path
    fingerprint: str
    seed: int
    workers: int

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.phase.name}.checkpoint.safetensors"


def train_phase(net: STResNet, run: PhaseRun, fabric: Fabric) -> None:
    """Train the streams that the phase names, in place, from its checkpoint if there is one.

    Raises:
        TrainingError: the loss is not finite, or a loader worker died.
        Interrupted: SIGINT or SIGTERM; the checkpoint is written.
    """
    phase, recipe = run.phase, run.recipe

    # -- What learns: one stream or both ----------------------------------------------------
    learner: nn.Module = net
    if phase.name in ("motion", "appearance"):
        learner = net.get_submodule(phase.name)
    optimizer = torch.optim.SGD(
        parameter_groups(learner, recipe.weight_decay), lr=0.0, momentum=recipe.momentum
    )
    finished = 0
    if run.checkpoint.exists():
        finished = load_checkpoint(run.checkpoint, net, optimizer, run.fingerprint)
    if finished == phase.iterations:
        return
    learner.train()
    # Twice as fast on CPUs, in bf16. (torch's type stubs do not know this overload.)
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward, optimizer = fabric.setup(learner, optimizer)

    # -- Videos, a normalisation group at a time ----------------------------------------------
    groups = load_groups(run, finished)
    group_starts = range(0, phase.batch, phase.norm_group)

    # -- Iterations -----------------------------------------------------------------------------
    saved = time.monotonic()
    log = RunLog(run.folder, phase.name, finished, phase.iterations)
    with log.opened(), stop_requested() as stop:
        for step in range(finished, phase.iterations):
            began = time.monotonic()
            rate = phase.learning_rate(step)
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            rows: list[dict[str, float]] = []
            for _ in group_starts:
                rgb, flow, truth = next(groups)  # (b,T,3,H,W), (b,T,2L,H,W), (b,)
                rgb, flow, truth = fabric.to_device((rgb, flow, truth))
                scores = stream_scores(forward, phase, rgb, flow)  # each (b,T',K)
                loss = group_loss(scores, truth, recipe)
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"{phase.name}: the loss is {loss.item()} at iteration {step}",
                        remedy=f"lower the learning rate ({rate}); "
                        f"{run.checkpoint.name} holds the last good state",
                    )
                fabric.backward(loss / phase.batch)
                rows.append(training_row(scores, truth, rate))
                if stop:
                    break
            if stop:  # the unfinished step is dropped; its samples come again on resume
                save_checkpoint(run.checkpoint, net, optimizer, step, run.fingerprint)
                raise Interrupted(stop.signal_number or 0)
            optimizer.step()
            optimizer.zero_grad()
            commit_running_moments(learner)
            row = mean_rows(rows)
            row["videos_per_second"] = phase.batch / (time.monotonic() - began)
            log.row(step, row)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                save_checkpoint(run.checkpoint, net, optimizer, step + 1, run.fingerprint)
                saved = time.monotonic()
    save_checkpoint(run.checkpoint, net, optimizer, phase.iterations, run.fingerprint)


def parameter_groups(learner: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay acts on filters only, not on biases and normalisation (authors' setLrWd.m)."""
    parameters = [p for p in learner.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def load_groups(run: PhaseRun, first_step: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Normalisation groups of every step from `first_step` on, in order."""
    phase = run.phase
    steps = StepSampler(
        len(run.dataset.items),
        phase.batch,
        seed=run.seed,
        first_step=first_step,
        last_step=phase.iterations,
    )
    loader = DataLoader(
        run.dataset,
        batch_sampler=GroupSampler(steps, phase.norm_group),
        num_workers=run.workers,
        timeout=LOADER_TIMEOUT if run.workers else 0,
        collate_fn=stack,
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader" not in str(error):
            raise
        raise TrainingError(
            f"a loader worker died or hung ({error})", remedy="try again with --workers 0"
        ) from error


class GroupSampler(torch.utils.data.Sampler[list[SampleKey]]):
    """Cuts each SGD batch into its normalisation groups."""

    def __init__(self, steps: StepSampler, group: int) -> None:
        self.steps, self.group = steps, group

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for batch in self.steps:
            for start in range(0, len(batch), self.group):
                yield batch[start : start + self.group]


def stack(samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Samples -> rgb (b,T,3,H,W) uint8, flow (b,T,2L,H,W) uint8, labels (b,)."""
    rgb, flow, labels = zip(*samples, strict=True)
    return torch.stack(rgb), torch.stack(flow), torch.tensor(labels)


def stream_scores(forward: nn.Module, phase: Phase, rgb: Tensor, flow: Tensor) -> dict[str, Tensor]:
    """Scores (b,T',K) of each stream that learns in this phase."""
    if phase.name == "motion":
        return {"motion": forward(flow)}
    if phase.name == "appearance":
        return {"appearance": forward(rgb)}
    appearance, motion = forward(rgb, flow)
    return {"appearance": appearance, "motion": motion}


def group_loss(scores: dict[str, Tensor], truth: Tensor, recipe: Recipe) -> Tensor:
    """Cross-entropy summed over videos and streams, and over chunks summed or averaged (D10).

    One softmax a stream and chunk (section 3.4), or one on the streams' sum (`joint_softmax`).
    """
    heads = list(scores.values())
    if recipe.joint_softmax:
        heads = [torch.stack(heads).sum(0)]
    total = torch.zeros((), device=truth.device)
    for logits in heads:
        chunks = logits.shape[1]
        every_chunk = cross_entropy(
            logits.float().flatten(0, 1), truth.repeat_interleave(chunks), reduction="sum"
        )
        total = total + (every_chunk if recipe.chunk_loss == "sum" else every_chunk / chunks)
    return total


def training_row(scores: dict[str, Tensor], truth: Tensor, rate: float) -> dict[str, float]:
    """Loss and accuracy of each stream, and of their sum, on the samples just trained on."""
    row = {"learning_rate": rate}
    clip = {name: logits.detach().float().mean(1) for name, logits in scores.items()}  # (b,K)
    for name, logits in clip.items():
        row[f"{name}_loss"] = cross_entropy(logits, truth).item()
        row[f"{name}_accuracy"] = accuracy(logits, truth)
    if len(clip) > 1:
        row["fused_accuracy"] = accuracy(torch.stack(list(clip.values())).sum(0), truth)
    return row


def accuracy(logits: Tensor, truth: Tensor) -> float:
    return (logits.argmax(1) == truth).float().mean().item()
