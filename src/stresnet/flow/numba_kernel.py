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

from stresnet.flow.compiled import compiled
from stresnet.flow.lanes import Float32
from stresnet.flow.numba_fields import FIRST, FLOW, memory_for, new_fields
from stresnet.flow.numba_median import median_filter
from stresnet.flow.numba_primal_dual import iterate
from stresnet.flow.numba_pyramid import levels, zoomed
from stresnet.flow.numba_warp import cubic_taps, linearise, with_gradient
from stresnet.flow.parameters import TVL1Parameters
from stresnet.flow.pyramid import level_sizes

f32 = np.float32
# Iterations that run close together: their rows must fit the cache, 15 kB each for 340 pixels.
AT_ONCE = 8


def flow_of_pair(
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8],
    p: TVL1Parameters,
    start: Float32 | None = None,
) -> Float32:
    """(H, W) and (H, W) grey frames -> (2, H, W) flow from first to second, pixels per frame.

    `start` is a flow to begin with, (2, H, W) in pixels per frame; None begins with 0.
    """
    height, width = first.shape
    sizes = level_sizes(height, width, p.scales, p.scale_step)
    firsts, seconds = levels(first, sizes, p.scale_step), levels(second, sizes, p.scale_step)
    memory = memory_for(height, width)
    # In this unit of flow the dual step is 1, which saves the inner loop six products a pixel.
    unit = p.theta / p.tau
    taps = cubic_taps(p.cubic)
    flow = np.zeros((2, *sizes[-1]), np.float32)
    if start is not None:
        flow = zoomed(start, sizes[-1], p.scale_step ** (1 - len(sizes))) / f32(unit)
    for source, target in zip(reversed(firsts), reversed(seconds), strict=True):
        height, width = source.shape
        flow = zoomed(flow, (height, width), p.scale_step)
        fields = new_fields(height, width, memory)  # the coarser level's are lost
        fields[:, FIRST, :width] = source
        fields[:, FLOW : FLOW + 2, :width] = flow.swapaxes(0, 1)
        _refine(
            fields,
            with_gradient(target, p.beyond == "edge"),
            width,
            taps,
            f32(unit),
            f32(p.lambda_ * p.theta / unit**2),
            f32(p.tau),
            p.warps,
            p.epsilon**2 * target.size / unit**2,
            p.iterations,
            p.lazy_check,
            p.median_every,
        )
        flow = fields[:, FLOW : FLOW + 2, :width].swapaxes(0, 1)
    return np.multiply(flow, f32(unit), order="C")


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
        linearise(fields, second, width, taps, unit)
        unchecked = 0.0
        n = 0
        while n < iterations:
            if median_every > 0 and n % median_every == 0:
                median_filter(fields[:, FLOW], width)
                median_filter(fields[:, FLOW + 1], width)
            # As many iterations as nobody looks at, so that they can run close together.
            count, looks = 0, False
            until = n - n % median_every + median_every if median_every > 0 else iterations
            while not looks and count < AT_ONCE and n < min(until, iterations):
                # OpenCV's GPU code, for which a sum is dear, looks only when it may be worth it.
                looks = not lazy_check or (n % 2 == 1 and unchecked < enough)
                unchecked -= enough
                count, n = count + 1, n + 1
            change = iterate(fields, width, count, reach, tau)
            if looks:
                if change <= enough:
                    break
                unchecked = change
