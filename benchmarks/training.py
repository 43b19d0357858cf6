"""What a training step costs, loading included, beside a plain implementation of the same step.

    python benchmarks/training.py                       # ResNet-50, T = 5 at 224x224: minutes
    python benchmarks/training.py --ways plain ours --rounds 3
    python benchmarks/training.py --ways ours compiled  # compiling takes minutes more
    python benchmarks/training.py --threads 1 --batch 4 # on a machine that others use too
    python benchmarks/training.py --depth tiny --size 64 --batch 4

A step is `paper`'s phase st_resnet with fewer normalisation groups (of 4 videos each): chunks of
the clips that ship, read by a loader process and trained on by the real loop. Plain: see
plain_training.py. Ways run in turn, each in a process of its own, whose greatest resident memory
counts; of its steps, the first excepted, and of all rounds the quickest. On one thread samples are
loaded by the training process and its processor time counts, otherwise the clock's.

Operations are counted from the layers' shapes (2 a multiply-add, forward and backward); the ceiling
is torch's own product of two square matrices in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from plain_training import LooseJpegs, PlainSTResNet, plain_step
from rich.console import Console
from rich.table import Table
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from stresnet.data.formats.layouts import Layout, layout_names
from stresnet.data.formats.write import export
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, StepSampler
from stresnet.data.prepare.many import prepare
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.flow import FAST
from stresnet.memory import keep_memory
from stresnet.model.stream import BASE_WIDTH, UNITS
from stresnet.training.distributed import DistributedContext
from stresnet.training.initialisation import network
from stresnet.training.loading import GroupSampler
from stresnet.training.loop import PhaseRun, train_phase
from stresnet.training.recipe import Phase, Recipe
from stresnet.training.recipes import PAPER
from stresnet.training.runtime import Execution

CLIPS = Path(__file__).parent.parent / "src/stresnet/assets/clips"
EXECUTIONS = {
    "float32": Execution("cpu", "fp32", channels_last=False),
    "channels-last": Execution("cpu", "fp32"),
    "bf16": Execution("cpu", "bf16", channels_last=False),
    "ours": Execution("cpu", "bf16"),  # both: the default where the processor has bfloat16
    "recomputed": Execution("cpu", "bf16", recompute=True),
    "compiled": Execution("cpu", "bf16", compiled=True),
}
PRODUCTS = {"product fp32": torch.float32, "product bf16": torch.bfloat16}
DEFAULT_WAYS = ["plain", *(way for way in EXECUTIONS if way != "compiled")]
SIDES = (1024, 2048)  # of the squares that are multiplied for the ceiling
NUM_CLASSES = 101


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ways", nargs="+", default=DEFAULT_WAYS, choices=["plain", *EXECUTIONS])
    parser.add_argument("--depth", default="50", choices=[str(known) for known in UNITS])
    parser.add_argument("--size", type=int, default=224, help="side of a crop, px")
    parser.add_argument("--chunks", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8, help="videos a step")
    parser.add_argument("--group", type=int, default=4, help="videos that share moments")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=3, help="the first one is not counted")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--data", type=Path, help="as `write_data` leaves it; made if left out")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a way, in a process of its own
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_way(options.one, options)))
    elif options.data:
        compare(options, options.data)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            write_data(Path(scratch))
            compare(options, Path(scratch))


def write_data(folder: Path) -> None:
    """The clips that ship, as a store and as loose JPEGs (the authors' layout)."""
    names = [str(path.relative_to(CLIPS)) for path in sorted(CLIPS.glob("*/*.mp4"))]
    prepare([(CLIPS / name, name) for name in names], folder / "store", parameters=FAST)
    export(names, folder / "store", folder / "loose", Layout.AUTHORS)


def compare(options: argparse.Namespace, data: Path) -> None:
    """Each way in turn; then the table."""
    best: dict[str, float] = {}
    peak: dict[str, float] = {}
    for _ in range(options.rounds):
        for way in (*options.ways, *PRODUCTS):
            print(way, file=sys.stderr)
            told = in_fresh_process(way, options, data)
            best[way] = min(told["seconds"], best.get(way, float("inf")))
            peak[way] = max(told["peak"], peak.get(way, 0.0))
    operations = counted(options)
    rates = {name.split()[1]: 1 / best[name] for name in PRODUCTS}  # operations a second
    table = Table(
        "", "s a step", "videos/s", "times plain", "peak, GiB", "of plain", "Gflop/s", "of product",
        title=f"ST-ResNet-{options.depth}, {options.batch} videos in groups of {options.group}, "
        f"{options.chunks} chunks of {options.size} px: {operations / 1e9:.0f} Gflop; "
        f"{options.threads} threads; products reach "
        + ", ".join(f"{rate / 1e9:.0f} Gflop/s in {kind}" for kind, rate in rates.items()),
    )  # fmt: skip
    for way in options.ways:
        precision = "fp32" if way == "plain" else EXECUTIONS[way].precision
        rate = operations / best[way]
        compared = "plain" in best
        table.add_row(
            way,
            f"{best[way]:.2f}",
            f"{options.batch / best[way]:.3f}",
            f"{best['plain'] / best[way]:.2f}" if compared else "",
            f"{peak[way]:.2f}",
            f"{100 * peak[way] / peak['plain']:.0f} %" if compared else "",
            f"{rate / 1e9:.0f}",
            f"{100 * rate / rates[precision]:.0f} %",
        )
    Console(width=120).print(table)


def in_fresh_process(way: str, options: argparse.Namespace, data: Path) -> dict[str, float]:
    """What `one_way` tells."""
    given = {**vars(options), "one": way, "data": data}
    arguments = [
        f"--{name}={given[name]}"
        for name in ("one", "data", "depth", "size", "chunks", "batch", "group", "threads", "steps")
    ]
    ran = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    told: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return told


def one_way(way: str, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of the quickest step (of a product: an operation), and greatest memory, GiB."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    if way in PRODUCTS:
        return {"seconds": product_seconds(PRODUCTS[way], clock), "peak": 0.0}
    marks: list[float] = []
    register_optimizer_step_post_hook(lambda *_: marks.append(clock()))
    (train_plainly if way == "plain" else train_ours)(way, options)
    seconds = min(later - earlier for earlier, later in pairwise(marks))
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def recipe_of(options: argparse.Namespace) -> tuple[Recipe, Phase]:
    """The paper's, of the wished size."""
    phase = replace(
        PAPER.phase("st_resnet"),
        schedule=((1e-3, options.steps),),
        batch=options.batch,
        norm_group=options.group,
        chunks=options.chunks,
    )
    depth = next(known for known in UNITS if str(known) == options.depth)
    return replace(PAPER, depth=depth, input_size=options.size, phases=(phase,)), phase


def train_ours(way: str, options: argparse.Namespace) -> None:
    """The real loop, on the store."""
    recipe, phase = recipe_of(options)
    store = options.data / "store"
    items = [(store_path(store, name), label) for name, label in clips(store)]
    settings = ChunkSettings(phase.chunks, phase.tau, phase.crop, recipe.input_size)
    dataset = ChunkDataset(items, settings, seed=0, open_video=StoredVideo)
    keep_memory()  # as the command line does
    execution = replace(EXECUTIONS[way], workers=workers(options))
    context = DistributedContext(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as scratch:
        run = PhaseRun(recipe, phase, dataset, Path(scratch), "benchmark", 0, context, execution)
        train_phase(network(recipe, phase, NUM_CLASSES), run)


def train_plainly(way: str, options: argparse.Namespace) -> None:
    """The plain loop, on loose JPEGs, with as many loader processes."""
    recipe, phase = recipe_of(options)
    found = list(clips(options.data / "store"))
    named = layout_names([name for name, _ in found], Layout.AUTHORS)
    dataset = LooseJpegs(
        options.data / "loose", [(named[name], label) for name, label in found],
        phase.chunks, phase.tau, recipe.input_size,
    )  # fmt: skip
    steps = StepSampler(len(found), phase.batch, seed=0, last_step=phase.iterations)
    groups = [keys for _, keys in GroupSampler(steps, phase.norm_group)]
    batches = iter(DataLoader(dataset, batch_sampler=groups, num_workers=workers(options)))
    net = PlainSTResNet(NUM_CLASSES, UNITS[recipe.depth], BASE_WIDTH[recipe.depth]).train()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, recipe.momentum, weight_decay=5e-4)
    for _ in range(phase.iterations):
        own = (next(batches) for _ in range(phase.batch // phase.norm_group))
        plain_step(net, optimizer, own, phase.batch)


def clips(store: Path) -> Iterator[tuple[str, int]]:
    """Name and label of each prepared video."""
    paths = sorted(store.glob("*/*.zip"))
    labels = sorted({path.parent.name for path in paths})
    for path in paths:
        yield str(path.relative_to(store).with_suffix("")), labels.index(path.parent.name)


def workers(options: argparse.Namespace) -> int:
    """Loader processes: their processor time would not be counted."""
    return 0 if options.threads == 1 else 1


def product_seconds(dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Seconds an operation of a product of square matrices: the best of several."""
    best = float("inf")
    for side in SIDES:
        a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
        for _ in range(10):
            began = clock()
            a @ b
            best = min(best, (clock() - began) / (2 * side**3))
    return best


def counted(options: argparse.Namespace) -> int:
    """Floating-point operations of a step, from the shapes of its layers."""
    recipe, phase = recipe_of(options)
    net = network(recipe, phase, NUM_CLASSES).to("meta")
    shape = (options.group, options.chunks, 3, options.size, options.size)
    rgb = torch.empty(shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        appearance, motion = net(rgb, torch.empty(*shape[:2], 20, *shape[3:], device="meta"))
        (appearance.sum() + motion.sum()).backward()
    a_video = counter.get_total_flops() / options.group
    return int(a_video * options.batch)


if __name__ == "__main__":
    main()
