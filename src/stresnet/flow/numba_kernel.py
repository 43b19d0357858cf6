"""TV-L1 of one pair of frames on one processor core, coarse to fine.

The parts have a file each:

    numba_pyramid       frames down the pyramid, flow up
    numba_fields        the arrays of one level
    numba_warp          the data term, linearised at the flow so far
    numba_primal_dual   the iterations
    numba_median        the median filter between them
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stresnet.flow.jit import compiled, inlined
from stresnet.flow.numba_fields import FIRST, FLOW, memory_for, new_fields
from stresnet.flow.numba_median import median_filter
from stresnet.flow.numba_primal_dual import iterate
from stresnet.flow.numba_pyramid import levels, zoom_into
from stresnet.flow.numba_warp import cubic_taps, linearise, with_gradient
from stresnet.flow.parameters import AT_ONCE, HASTE, TVL1Parameters
from stresnet.flow.pyramid import level_sizes
from stresnet.flow.simd import Float32

f32 = np.float32
# In place of an epsilon of 0: no quotient overflows.
LEAST = float(np.finfo(np.float32).tiny)


def flow_of_pair(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], p: TVL1Parameters
) -> Float32:
    """(H, W) and (H, W) grey frames -> (2, H, W) flow from first to second, pixels per frame."""
    height, width = first.shape
    sizes = level_sizes(height, width, p.scales, p.scale_step)
    firsts, seconds = levels(first, sizes, p.scale_step), levels(second, sizes, p.scale_step)
    memory = memory_for(height, width)
    # In this unit of flow the dual step is 1, which saves the inner loop six products per pixel.
    unit = p.theta / p.tau
    taps = cubic_taps(p.cubic)
    flow = np.zeros((2, *sizes[-1]), np.float32)
    for image, next_image in zip(reversed(firsts), reversed(seconds), strict=True):
        height, width = image.shape
        fields = new_fields(height, width, memory)  # the coarser level's are lost
        fields[:, FIRST, :width] = image
        zoom_into(fields, width, flow, p.scale_step)
        _refine(
            fields,
            with_gradient(next_image, p.beyond == "edge"),
            width,
            taps,
            f32(unit),
            f32(p.lambda_ * p.theta / unit**2 / p.tau),
            f32(p.tau),
            p.warps,
            p.epsilon**2 * next_image.size / unit**2,
            p.iterations,
            p.lazy_check,
            p.median_every,
        )
        flow = fields[:, FLOW : FLOW + 2, :width].swapaxes(0, 1).copy()
    return flow * f32(unit)


@compiled
def _refine(
    fields: Float32,
    second: Float32,
    width: int,
    taps: Float32,
    unit: np.float32,
    reach: np.float32,
    tau: np.float32,
    warps: int,
    enough: float,
    iterations: int,
    lazy_check: bool,
    median_every: int,
) -> None:
    """Solve one level of the pyramid: u in `fields` is where to start, and becomes the result.

    enough: the sum over pixels of the squared change in one iteration that ends a warp; the other
    arguments as in `linearise` and `iterate`.
    """
    for _ in range(warps):
        linearise(fields, second, width, taps, unit, tau)
        n, look = 0, 2
        while n < iterations:
            until = iterations
            if median_every > 0:
                if n % median_every == 0:
                    median_filter(fields[:, FLOW], width)
                    median_filter(fields[:, FLOW + 1], width)
                until = min(iterations, n - n % median_every + median_every)
            # Close together, while their rows are in the cache: 15 kB each for 340 pixels.
            count = min(AT_ONCE, until - n, look - n)
            change = iterate(fields, width, count, reach, tau)
            n += count
            if n == look or not lazy_check:
                if change <= enough:
                    break
                excess = min(change / max(enough, LEAST), float(iterations))
                look = _next_look(n, excess, lazy_check)


@inlined
def _next_look(n: int, excess: float, lazy_check: bool) -> int:
    """The iteration after which to look again, if after the n-th the change was `excess` times
    larger than allowed.
    """
    if lazy_check:
        look = n + int(excess) + 1
        return look + look % 2
    return n + max(1, min(AT_ONCE, int(HASTE * excess)))
