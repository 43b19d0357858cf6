"""What the inner loop of TV-L1 reaches of what this processor can do.

    python benchmarks/flow_roofline.py [--size 256 340]

Floating-point operations and bytes a pixel and iteration are counted in `numba_primal_dual`. The
ceilings are measured: multiply-adds on registers alone, and a loop that loads and stores what an
iteration does, from where it lies in memory, and computes next to nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flow_table import show

from stresnet.flow.jit import compiled
from stresnet.flow.numba_fields import DUAL_X, FLOW, INVERSE, RHO, SLOPE, memory_for, new_fields
from stresnet.flow.numba_primal_dual import iterate
from stresnet.flow.simd import LANES, Float32, load, store, total, whole_lanes, zeros

# Of the primal step: residual 4, pull 3, two divergences 3 each, two steps 2 each, two sums 2 each.
# Of each of two dual steps: gradient 2, its square 4, inverse root and inverse 1 each, root and sum
# 2, two components 2 each. Where the change is looked at, 4 more for its square, not counted.
FLOPS = 21 + 2 * 14
# Ten fields are read, six of them written again: flow and duals.
BYTES = 4 * (10 + 6)
LOADED = (FLOW, FLOW + 1, SLOPE, SLOPE + 1, *range(DUAL_X, DUAL_X + 4), RHO, INVERSE)

REACH, TAU = np.float32(0.13), np.float32(0.25)
REPEATS = 200
CHAINS = 10  # independent sums, to keep both multiply-add units busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    options = parser.parse_args()
    height, width = options.size

    most = peak()
    table = []
    for rows in (16, height // 2, height):
        fields = random_fields(rows, width)
        moved = BYTES * rows * whole_lanes(width) / least_time(touched, fields, width)
        for count in (1, 8):
            seconds = least_time(iterate, fields, width, count, REACH, TAU)
            each = seconds / (rows * width * count)
            table.append(
                {
                    "rows": str(rows),
                    "iterations at once": str(count),
                    "ns a pixel-iteration": f"{1e9 * each:.2f}",
                    "Gflop/s": f"{FLOPS / each / 1e9:.0f}",
                    "of multiply-adds": f"{100 * FLOPS / each / most:.0f} %",
                    "GB/s": f"{BYTES / each / 1e9:.0f}",
                    "loads and stores alone": f"{moved / 1e9:.0f}",
                }
            )
    show(
        f"width {width}; {FLOPS} flop and {BYTES} bytes a pixel-iteration; multiply-adds reach "
        f"{most / 1e9:.0f} Gflop/s",
        table,
    )


def peak() -> float:
    """Floating-point operations a second of multiply-adds on registers alone."""
    return 2 * LANES * CHAINS * 1000 / least_time(multiply_adds, 1000)


def random_fields(height: int, width: int) -> Float32:
    random = np.random.default_rng(0)
    fields = new_fields(height, width, memory_for(height, width))
    fields[:, FLOW : FLOW + 2, :width] = random.normal(size=(height, 2, width))
    slope = random.normal(size=(height, 2, width)) * 10
    fields[:, SLOPE : SLOPE + 2, :width] = slope
    fields[:, RHO, :width] = random.normal(size=(height, width)) * 5
    fields[:, INVERSE, :width] = 1 / (slope**2).sum(axis=1)
    return fields


def least_time(work: Callable[..., Any], *arguments: Any) -> float:
    """CPU seconds of one call, compiled before, the best of many."""
    work(*arguments)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.thread_time()
        work(*arguments)
        best = min(best, time.thread_time() - start)
    return best


@compiled
def multiply_adds(count: int) -> float:
    """`count` multiply-adds on each of CHAINS vectors."""
    half = np.float32(0.5)
    a, b, c, d, e = zeros(), zeros() + 1, zeros() + 2, zeros() + 3, zeros() + 4
    f, g, h, i, j = zeros() + 5, zeros() + 6, zeros() + 7, zeros() + 8, zeros() + 9
    for _ in range(count):
        # Each takes in another one, or LLVM would fold several steps of one into a single one.
        a, b, c, d = a * half + f, b * half + g, c * half + h, d * half + i
        e, f, g, h = e * half + j, f * half + a, g * half + b, h * half + c
        i, j = i * half + d, j * half + e
    return float(total(a + b + c + d + e + f + g + h + i + j))


@compiled
def touched(fields: Float32, width: int) -> None:
    """Load ten fields and store six, row by row."""
    for y in range(fields.shape[0]):
        for x in range(0, width, LANES):
            fixed = load(fields, (y, SLOPE, x)) + load(fields, (y, SLOPE + 1, x))
            fixed = fixed + load(fields, (y, RHO, x)) + load(fields, (y, INVERSE, x))
            for field in (FLOW, FLOW + 1, DUAL_X, DUAL_X + 1, DUAL_X + 2, DUAL_X + 3):
                store(fields, (y, field, x), fixed - load(fields, (y, field, x)))


if __name__ == "__main__":
    main()
