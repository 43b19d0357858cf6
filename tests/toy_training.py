"""A phase of training so small that a step takes tenths of a second."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from stresnet.data.loading.chunks import FramesAndFlow
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings
from stresnet.data.store.reader import StoredVideo
from stresnet.model import STResNet
from stresnet.training.distributed import DistributedContext
from stresnet.training.loop import PhaseRun, train_phase
from stresnet.training.recipe import Phase, Recipe
from stresnet.training.runtime import Execution

PHASE = Phase(
    name="st_resnet",
    schedule=((1e-2, 4), (1e-3, 1)),
    batch=4,
    norm_group=2,
    chunks=2,
    tau=(1, 3),
    crop="scale-jitter",
)
RECIPE = Recipe(name="toy", depth="tiny", input_size=32, phases=(PHASE,))
ALONE = DistributedContext(torch.device("cpu"))
FP32 = Execution(precision="fp32")

Items = list[tuple[Path, int]]
State = dict[str, torch.Tensor]


def make_run(
    items: Items,
    folder: Path,
    phase: Phase = PHASE,
    workers: int = 0,
    recipe: Recipe = RECIPE,
    context: DistributedContext = ALONE,
    execution: Execution = FP32,
    open_video: Callable[[Path], FramesAndFlow] = StoredVideo,
) -> PhaseRun:
    settings = ChunkSettings(phase.chunks, phase.tau, phase.crop, recipe.input_size)
    dataset = ChunkDataset(items, settings, seed=0, open_video=open_video)
    folder.mkdir(exist_ok=True)
    execution = replace(execution, workers=workers)
    return PhaseRun(recipe, phase, dataset, folder, "toy", 0, context, execution)


def make_net(dropout: float = 0.5) -> STResNet:
    torch.manual_seed(0)
    return STResNet(2, "tiny", input_size=32, appearance_dropout=dropout, motion_dropout=dropout)


def trained(run: PhaseRun, net: STResNet | None = None) -> State:
    net = net or make_net()
    train_phase(net, run)
    return net.state_dict()


def different(a: State, b: State) -> list[str]:
    """Names of tensors that are not bitwise equal."""
    assert a.keys() == b.keys()
    return [key for key in a if not torch.equal(a[key], b[key])]


def in_child(*functions: Callable[[], object]) -> list[int | None]:
    """Run each function in a process of its own, at the same time; their exit codes."""
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=function) for function in functions]
    for child in children:
        child.start()
    for child in children:
        child.join(300)
        if child.exitcode is None:
            child.kill()
    return [child.exitcode for child in children]
