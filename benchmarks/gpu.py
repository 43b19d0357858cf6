"""What a GPU gains, beside what it can multiply and beside the processor.

    python benchmarks/gpu.py                     # all of it: minutes
    python benchmarks/gpu.py --device cpu --small    # no GPU: only that the benchmark itself works

In one run: TV-L1 for each preset, a video of 25 chunks and its mirror image through ST-ResNet-50,
whole predictions of the clips that ship, steps of training. Beside them stand the product of two
square matrices on the same device, plain float32 through PyTorch's modules, and the processor's
flow; and the greatest difference from the processor's results. Best of several rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from flow_clips import SHIPPED_CLIPS, clips, opencv_solver
from torch.utils.flop_counter import FlopCounterMode

from stresnet.device import resolve_device, resolve_precision
from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, tv_l1
from stresnet.inference import InferenceNetwork
from stresnet.model import STResNet
from stresnet.prediction.recognise import recognise_each
from stresnet.training.estimate import train_on_noise, wait
from stresnet.training.recipes import RECIPES
from stresnet.training.runtime import Execution

Row: TypeAlias = tuple[str, str, str]  # what, how fast, and what stands beside it
PRESETS = {"AUTHORS": AUTHORS, "OPENCV_CPU": OPENCV_CPU, "FAST": FAST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=128, help="of frames of 340x256, in a batch")
    parser.add_argument("--compile", action="store_true", help="the steps of training, for minutes")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the script")
    options = parser.parse_args()
    device = resolve_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    print(f"{name}, torch {torch.__version__}")
    for measure in (products, flow, network, predictions, training):
        for row in measure(device, options):  # at once: a run that is cut short has told something
            print(*row, sep=" | ", flush=True)


def best(work: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """Seconds of the quickest of some rounds, after one that does not count."""
    seconds = []
    for _ in range(rounds + 1):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def products(device: torch.device, options: argparse.Namespace) -> Iterator[Row]:
    side = 256 if options.small else 8192
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(side, side, device=device, dtype=dtype)
        seconds = best(partial(torch.mm, a, a), device, options.rounds)
        rate = f"{2 * side**3 / seconds / 1e12:.2f} Tflop/s"
        yield f"product of {side}s, {dtype}", rate, ""


def flow(device: torch.device, options: argparse.Namespace) -> Iterator[Row]:
    height, width = (64, 80) if options.small else (256, 340)
    count = 4 if options.small else options.pairs
    length = min(count + 1, 17)
    found = clips(SHIPPED_CLIPS, 8, length=length, height=height, width=width)
    frames = np.concatenate(found)[: count + 1]
    for name, parameters in PRESETS.items():
        there = tv_l1(frames, parameters=parameters, device=str(device))
        here = tv_l1(frames, parameters=parameters, device="cpu")
        difference = np.linalg.norm(there - here, axis=1).mean()
        rates = []
        for on in (str(device), "cpu"):
            work = partial(tv_l1, frames, parameters=parameters, device=on)
            rates.append((len(frames) - 1) / best(work, device, options.rounds))
        opencv = 1 / best(partial(opencv_solver(parameters), frames[:2]), device, 1)
        yield (
            f"TV-L1 {name}, {len(frames) - 1} pairs of {width}x{height}",
            f"{rates[0]:.1f} pairs/s",
            f"processor {rates[1]:.1f}, OpenCV on it {opencv:.1f}; {difference:.4f} px apart",
        )


@torch.inference_mode()
def network(device: torch.device, options: argparse.Namespace) -> Iterator[Row]:
    torch.manual_seed(0)
    net = STResNet(101, "tiny" if options.small else 50, input_size=32 if options.small else 224)
    net = net.eval().to(device)
    chunks, *size = (5, 40, 48) if options.small else (25, 256, 340)
    inputs = [torch.randint(256, (2, chunks, c, *size), dtype=torch.uint8) for c in (3, 20)]
    there = [part.to(device) for part in inputs]
    with FlopCounterMode(display=False) as counter:
        plain = net(*there)
    operations = counter.get_total_flops()
    eager = best(partial(net, *there), device, options.rounds)
    for precision in dict.fromkeys(("fp32", resolve_precision("auto", device))):
        fast = InferenceNetwork(net, precision=precision)
        scores = fast(*there)

        def copied_and_seen(fast: InferenceNetwork = fast) -> None:
            fast(*(part.to(device) for part in inputs))

        seconds = best(copied_and_seen, device, options.rounds)
        pairs = zip(scores, plain, strict=True)
        apart = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
        yield (
            f"video of {chunks} chunks and mirror, {precision}",
            f"{1000 * seconds:.1f} ms",
            f"{operations / seconds / 1e12:.2f} Tflop/s; eager fp32 {1000 * eager:.1f} ms; "
            f"logits {apart:.1e} apart (paper: about 250 ms on a Titan X)",
        )


def predictions(device: torch.device, options: argparse.Namespace) -> Iterator[Row]:
    with as_file(files("stresnet") / "assets" / "clips") as folder:
        videos: list[Path] = sorted(folder.rglob("*.mp4"))[: 1 if options.small else None]
        flow = FAST if options.small else None
        found, seconds = {}, {}
        for on in dict.fromkeys((str(device), "cpu")):
            began = time.perf_counter()
            each = recognise_each("fight", videos, device=on, flow=flow, timeline=False)
            found[on] = [outcome.predictions for _, outcome in each]  # type: ignore[union-attr]
            seconds[on] = time.perf_counter() - began
    apart = max(
        abs(a[0].score - b[0].score) for a, b in zip(found[str(device)], found["cpu"], strict=True)
    )
    yield (
        f"predict, {len(videos)} clips that ship, from the file",
        f"{len(videos) / seconds[str(device)]:.2f} videos/s",
        f"processor {len(videos) / seconds['cpu']:.2f}; scores {apart:.3f} apart",
    )


def training(device: torch.device, options: argparse.Namespace) -> Iterator[Row]:
    recipe = RECIPES["paper"]
    if options.small:
        recipe = replace(recipe, depth="tiny", input_size=32)
    execution = Execution(device=str(device), compiled=options.compile).resolved(device)
    for phase in recipe.phases[-1:] if options.small else recipe.phases:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds, _ = train_on_noise(recipe, phase, 101, device, execution)
        peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
        what = f"training, {recipe.name}, {phase.name}, forward and backward"
        yield what, f"{seconds:.3f} s a video", f"{peak:.1f} GiB"


if __name__ == "__main__":
    main()
