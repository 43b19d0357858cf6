"""Where TV-L1's time goes, preset by preset, and what its iterations reach of the processor.

    python benchmarks/flow_stages.py [--clips FOLDER] [--videos 6]

CPU milliseconds of one pair of frames on one thread, of each video the least of several, and their
share. The loop over warps and iterations runs uncompiled here, so that its parts can be timed. The
iterations' floating-point operations, counted and compared as in `flow_roofline`, are what the
last columns show.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow_clips import SHIPPED_CLIPS, Frames, clips
from flow_roofline import FLOPS, peak
from flow_table import show

from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, numba_kernel
from stresnet.flow.simd import Float32

PRESETS = {"OPENCV_CPU": OPENCV_CPU, "AUTHORS": AUTHORS, "FAST": FAST}
STAGES = {
    "iterations": ("iterate",),
    "warps": ("linearise", "with_gradient"),
    "medians": ("median_filter",),
    "pyramid": ("levels", "zoom_into"),
}
REPEATS = 5

Spent = defaultdict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=SHIPPED_CLIPS, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    options = parser.parse_args()
    height, width = options.size
    videos = clips(options.clips, options.videos, length=2, height=height, width=width)

    spent = watched_kernel()
    most = peak()
    show(
        f"a pair of {width}x{height} on one thread; multiply-adds reach {most / 1e9:.0f} Gflop/s",
        [row(name, least(p, videos, spent), height * width, most) for name, p in PRESETS.items()],
    )


def watched_kernel() -> Spent:
    """From here on the kernel's stages add up here what they take: seconds, by function."""
    spent: Spent = defaultdict(float)

    def watched(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            start = time.thread_time()
            result = part(*arguments)
            spent[name] += time.thread_time() - start
            return result

        return run

    for name in (name for names in STAGES.values() for name in names):
        setattr(numba_kernel, name, watched(name, getattr(numba_kernel, name)))
    iterate = numba_kernel.iterate

    def counted(fields: Float32, width: int, count: int, *others: Any) -> float:
        spent["pixel-iterations"] += fields.shape[0] * width * count
        return iterate(fields, width, count, *others)

    # Compiled code would go on calling what it was compiled with.
    numba_kernel.iterate = counted
    numba_kernel._refine = numba_kernel._refine.py_func  # type: ignore[attr-defined]
    numba_kernel._next_look = numba_kernel._next_look.py_func  # type: ignore[attr-defined]
    return spent


def least(p: TVL1Parameters, videos: list[Frames], spent: Spent) -> Spent:
    """The mean over videos of the least of several runs: of each stage, and "all"."""
    means: Spent = defaultdict(float)
    for video in videos:
        runs: list[dict[str, float]] = []
        for _ in range(REPEATS):
            spent.clear()
            start = time.thread_time()
            numba_kernel.flow_of_pair(video[0], video[1], p)
            runs.append({**spent, "all": time.thread_time() - start})
        for key in runs[0]:
            means[key] += min(run[key] for run in runs) / len(videos)
    return means


def row(name: str, spent: Spent, pixels: int, most: float) -> dict[str, str]:
    stages = {stage: sum(spent[part] for part in parts) for stage, parts in STAGES.items()}
    stages["rest"] = spent["all"] - sum(stages.values())
    reached = FLOPS * spent["pixel-iterations"] / stages["iterations"]
    return {
        "preset": f"`{name}`",
        "ms": f"{1000 * spent['all']:.1f}",
        **{
            stage: f"{1000 * seconds:.1f} ({100 * seconds / spent['all']:.0f} %)"
            for stage, seconds in stages.items()
        },
        "iterations a pixel": f"{spent['pixel-iterations'] / pixels:.0f}",
        "Gflop/s": f"{reached / 1e9:.0f}",
        "of multiply-adds": f"{100 * reached / most:.0f} %",
    }


if __name__ == "__main__":
    main()
