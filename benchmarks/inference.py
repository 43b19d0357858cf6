"""How fast a whole two-stream ST-ResNet is tested, beside what this processor can multiply.

    python benchmarks/inference.py                 # ResNet-50, 25 chunks of 256x340
    python benchmarks/inference.py --depth tiny --chunks 8 --size 64 80 --engines onnx compile

Operations are counted from the layers' shapes (2 a multiply-add, convolutions and classifiers),
the ceiling is torch's own matrix product in the same run. Each way runs in turn, the best of
several rounds counts. On one thread the time is the processor's, so that a machine that others
use too tells nearly the same; on more it is the clock's.

    python benchmarks/inference.py --predict clip.mp4 --model MODEL   # decode, flow and network

compares a fresh process's whole prediction, with its peak memory, to OpenCV's TV-L1 and eager
PyTorch (every tenth pair of frames is timed), and again the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from flow_clips import opencv_solver
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stresnet.data.loading.chunks import Chunks
from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.video.decode import iter_frames
from stresnet.evaluation.protocols import protocol_of, views
from stresnet.exporting import FORMATS, captured
from stresnet.flow import grey
from stresnet.inference import InferenceNetwork
from stresnet.memory import keep_memory
from stresnet.model import STResNet, load_model

Scored = Callable[[], tuple[Tensor, Tensor]]
SHIPPED_MODEL = "fight"
ENGINES = ("onnx", "openvino", "compile")
KEPT = "eager, memory kept, fp32"
SIDES = (1024, 2048)  # of the squares that are multiplied for the ceiling
PAIRS_TIMED = 10  # one in so many
# From a small process, since a child's peak is never below the size of who started it.
WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", default="50", help="26, 50, 101, 152 or tiny")
    parser.add_argument("--chunks", type=int, default=25)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="*", default=["onnx", "openvino"], choices=ENGINES)
    parser.add_argument("--predict", type=Path, metavar="VIDEO")
    parser.add_argument("--model", default=SHIPPED_MODEL, help="for --predict")
    parser.add_argument("--protocol", default="quick", help="for --predict")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    if options.predict:
        whole_prediction(options)
    else:
        network_alone(options)


def network_alone(options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    depth = options.depth if options.depth == "tiny" else int(options.depth)
    side = 224 if min(options.size) >= 224 else 32
    net = STResNet(101, depth, input_size=side).eval()
    shape = (options.chunks, 3, *options.size)
    rgb = torch.randint(0, 256, (1, *shape), dtype=torch.uint8)
    flow = torch.randint(0, 256, (1, shape[0], 20, *shape[2:]), dtype=torch.uint8)
    operations = counted(net, rgb, flow)

    def eager() -> tuple[Tensor, Tensor]:
        return net(rgb, flow)  # type: ignore[no-any-return]

    # First, as anyone's would; then as the command line has it.
    plain = least_times({"eager fp32": eager}, options)[0]
    keep_memory()
    with tempfile.TemporaryDirectory() as scratch:
        ways = {KEPT: eager, **dict(ways_to_score(net, rgb, flow, options, Path(scratch)))}
        for dtype in (torch.float32, torch.bfloat16):
            ways |= {f"product of {side}s, {dtype}": product(side, dtype) for side in SIDES}
        best, scores = least_times(ways, options)
    ceilings = {
        kind: max(2 * side**3 / best[f"product of {side}s, {dtype}"] for side in SIDES)
        for kind, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    best = plain | best
    table = Table(
        "", "s", "Gflop/s", "of products", "times eager", "greatest difference",
        title=f"{operations / 1e9:.0f} Gflop; {options.threads} threads; products reach "
        + ", ".join(f"{rate / 1e9:.0f} Gflop/s in {kind}" for kind, rate in ceilings.items()),
    )  # fmt: skip
    for name, seconds in best.items():
        if name.startswith("product"):
            continue
        rate = operations / seconds
        table.add_row(
            name,
            f"{seconds:.3f}",
            f"{rate / 1e9:.0f}",
            f"{100 * rate / ceilings[name[-4:]]:.0f} %",
            f"{plain['eager fp32'] / seconds:.2f}",
            f"{difference(scores[name], scores[KEPT]):.0e}" if name in scores else "",
        )
    Console(width=110).print(table)


def ways_to_score(
    net: STResNet, rgb: Tensor, flow: Tensor, options: argparse.Namespace, scratch: Path
) -> Iterator[tuple[str, Scored]]:
    """Names end in the precision."""
    for bf16 in (False, True):
        began = time.perf_counter()
        fast = InferenceNetwork(net, precision="bf16" if bf16 else "fp32")
        fast(rgb[:, :8], flow[:, :8])
        precision = "bf16" if bf16 else "fp32"
        print(f"frozen {precision}: first scores after {time.perf_counter() - began:.1f} s")
        yield f"frozen {precision}", lambda fast=fast: fast(rgb, flow)  # type: ignore[misc]
    if "compile" in options.engines:
        yield from compiled(net, rgb, flow)
    if {"onnx", "openvino"} & set(options.engines):
        path = scratch / "net.onnx"
        FORMATS["onnx"].write(captured(net, *rgb.shape[3:]), path, {})
        inputs = {"rgb": rgb.numpy(), "flow": flow.numpy()}
        if "onnx" in options.engines:
            yield "ONNX Runtime fp32", onnx_runtime(path, inputs, options.threads)
        if "openvino" in options.engines and not find_spec("openvino"):
            print("OpenVINO is not installed here: pip install openvino")
        elif "openvino" in options.engines:
            for precision in ("fp32", "bf16"):
                yield f"OpenVINO {precision}", openvino(path, inputs, precision, options.threads)


def compiled(net: STResNet, rgb: Tensor, flow: Tensor) -> Iterator[tuple[str, Scored]]:
    import torch._inductor.config

    torch._inductor.config.freezing = True
    scored = torch.compile(net)
    yield "torch.compile fp32", lambda: scored(rgb, flow)
    in_half = torch.compile(net)

    def autocast() -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return in_half(rgb, flow)  # type: ignore[no-any-return]

    yield "torch.compile bf16", autocast


def onnx_runtime(path: Path, inputs: dict[str, np.ndarray], threads: int) -> Scored:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda: tuple(map(torch.from_numpy, session.run(["appearance", "motion"], inputs)))  # type: ignore[return-value]


def openvino(path: Path, inputs: dict[str, np.ndarray], precision: str, threads: int) -> Scored:
    import openvino as ov

    hints = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
    }
    model = ov.compile_model(path, "CPU", hints)

    def scored() -> tuple[Tensor, Tensor]:
        scores = model(inputs)
        return torch.tensor(scores["appearance"]), torch.tensor(scores["motion"])

    return scored


def product(side: int, dtype: torch.dtype) -> Scored:
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return lambda: (a @ b, a)


def counted(net: STResNet, rgb: Tensor, flow: Tensor) -> int:
    """Floating-point operations of one pass, from the shapes of its layers."""
    shapes_only = STResNet(**net.config).eval().to("meta")
    with FlopCounterMode(display=False) as counter:
        shapes_only(rgb.to("meta"), flow.to("meta"))
    return counter.get_total_flops()


def least_times(
    ways: dict[str, Scored], options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, tuple[Tensor, Tensor]]]:
    """Each way's best time, s, of some rounds in turn, after one to warm up; and its scores."""
    clock = time.process_time if options.threads == 1 else time.perf_counter
    scores = {name: way() for name, way in ways.items()}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):
        for name, way in ways.items():
            began = clock()
            way()
            best[name] = min(best[name], clock() - began)
    return best, scores


def difference(got: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> float:
    """Greatest difference of a logit, relative to the greatest logit of its stream."""
    return max(
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, expected, strict=True)
    )


def whole_prediction(options: argparse.Namespace) -> None:
    """A fresh process of ours; OpenCV's TV-L1 and the eager network on the same video."""
    net = load_model(options.model)
    with tempfile.TemporaryDirectory() as scratch:
        stored = prepare_video(
            options.predict,
            Path(scratch) / "video.zip",
            parameters=flow_parameters(net.preparation),
            short_side=short_side(net.preparation),
            threads=2,
        )
        protocol = protocol_of(options.protocol)
        seen = list(views(stored, protocol, size=net.config["input_size"]))
    ways = {
        "ours, fp32": lambda: fresh_process(options, bf16=False),
        "ours, bf16": lambda: fresh_process(options, bf16=True),
        "plain": lambda: plain_prediction(options, net, seen),
    }
    rounds = [{name: way() for name, way in ways.items()} for _ in range(options.rounds)]
    best = {name: min(each[name] for each in rounds) for name in ways}
    for name, seconds in best.items():
        each = ", ".join(f"{found[name]:.1f}" for found in rounds)
        print(f"{name}: {seconds:.2f} s (rounds: {each}); plain takes "
              f"{best['plain'] / seconds:.1f} times as long")  # fmt: skip


def plain_prediction(options: argparse.Namespace, net: STResNet, seen: list[Chunks]) -> float:
    """Seconds of decoding, OpenCV's flow and the eager network, which sees `seen`, one by one.

    Frames and parameters of the flow are those that the network was made for.
    """
    began = time.perf_counter()
    frames = iter_frames(options.predict, short_side=short_side(net.preparation))
    greys = grey(np.stack([frame.image for frame in frames]))
    decoding = time.perf_counter() - began
    solve = opencv_solver(flow_parameters(net.preparation))
    pairs = list(pairwise(greys))[::PAIRS_TIMED]
    cv2.setNumThreads(options.threads)
    began = time.perf_counter()
    for pair in pairs:
        solve(np.stack(pair))
    flow = (time.perf_counter() - began) * (len(greys) - 1) / len(pairs)
    began = time.perf_counter()
    for view in seen:
        net(view.rgb[None], view.flow[None])
    scoring = time.perf_counter() - began
    print(f"plain: decoding {decoding:.1f} s, flow {flow:.1f} s, network {scoring:.1f} s")
    return decoding + flow + scoring


def fresh_process(options: argparse.Namespace, *, bf16: bool) -> float:
    """Seconds of `stresnet predict`, as it is typed; tells the memory of its greater process."""
    stresnet = Path(sys.executable).with_name("stresnet")
    command = [stresnet, "predict", options.model, options.predict, "--whole", "--json"]
    command += ["--threads", str(options.threads), "--precision", "bf16" if bf16 else "fp32"]
    command += ["--protocol", options.protocol]
    began = time.perf_counter()
    watched = [sys.executable, "-S", "-c", WATCHED, *command]
    told = subprocess.run(watched, stdout=subprocess.PIPE, check=True).stdout
    seconds = time.perf_counter() - began
    found, peak = told.strip().rsplit(b"\n", 1)
    best = json.loads(found)[0]["predictions"][0]
    print(f"ours: {seconds:.1f} s, {best['label']} {best['score']:.3f}, "
          f"peak {int(peak) / 2**20:.2f} GiB")  # fmt: skip
    return seconds


if __name__ == "__main__":
    main()
