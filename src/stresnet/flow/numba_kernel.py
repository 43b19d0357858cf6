"""TV-L1 of one pair of frames on one processor core.

Arrays carry ghost cells, so that no inner loop knows a border:

    u          (2, H, W+1)   flow; its last column repeats the one before: no gradient there
    dual_x     (2, H, W+1)   dual of the x-derivative of u; column 0 stays 0
    dual_y     (2, H+1, W)   dual of the y-derivative of u; row 0 stays 0
    slope      (2, H, W)     gradient of the warped I1
    rho        (H, W)        the residual at zero flow: I1(x+u0) - <slope, u0> - I0
    inverse    (H, W)        1 / |slope|², or 0 where there is no slope

The row functions stay separate because LLVM vectorises a loop only over a few arrays that might
overlap; docs/decisions/0002-tv-l1-kernel.md has the measurements.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stresnet.flow.compiled import compiled
from stresnet.flow.numba_pyramid import PAD, levels, with_gradient, zoomed
from stresnet.flow.parameters import TVL1Parameters
from stresnet.flow.pyramid import level_sizes

Float32 = npt.NDArray[np.float32]

# numba computes float32 with a Python float in float64, so constants are typed.
f32 = np.float32
ZERO, ONE = f32(0), f32(1)
# Below this |slope|² there is nothing to follow (OpenCV's bound: float32's epsilon).
FLAT = f32(np.finfo(np.float32).eps)


def flow_of_pair(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], p: TVL1Parameters
) -> Float32:
    """(H, W) and (H, W) grey frames -> (2, H, W) flow from first to second, pixels per frame."""
    height, width = first.shape
    sizes = level_sizes(height, width, p.scales, p.scale_step)
    firsts, seconds = levels(first, sizes, p.scale_step), levels(second, sizes, p.scale_step)
    flow = np.zeros((2, *sizes[-1]), np.float32)
    for source, target in zip(reversed(firsts), reversed(seconds), strict=True):
        u = zoomed(flow, source.shape, p.scale_step)
        _refine(
            source,
            with_gradient(target, p.beyond == "edge"),
            u,
            f32(p.lambda_ * p.theta),
            f32(p.theta),
            f32(p.tau / p.theta),
            p.warps,
            p.epsilon**2 * target.size,
            p.iterations,
            p.lazy_check,
            p.median_every,
            f32(p.cubic),
        )
        flow = u[:, :, :-1]
    return np.ascontiguousarray(flow)


@compiled
def _refine(
    first: Float32,
    second: Float32,
    u: Float32,
    reach: np.float32,
    theta: np.float32,
    dual_step: np.float32,
    warps: int,
    enough: float,
    iterations: int,
    lazy_check: bool,
    median_every: int,
    cubic: np.float32,
) -> None:
    """Solve one level of the pyramid: `u` is where to start, and becomes the result.

    first (H, W), second from `with_gradient`; reach = λθ and dual_step = τ/θ as float32; enough:
    the sum over pixels of the squared change in one iteration that ends a warp.
    """
    height, width = first.shape
    dual_x = np.zeros((2, height, width + 1), np.float32)
    dual_y = np.zeros((2, height + 1, width), np.float32)
    slope = np.empty((2, height, width), np.float32)
    rho = np.empty((height, width), np.float32)
    inverse = np.empty((height, width), np.float32)
    for _ in range(warps):
        _linearise(first, second, u, cubic, slope, rho, inverse)
        unchecked = 0.0
        for n in range(iterations):
            if median_every > 0 and n % median_every == 0:
                _median_filter(u[0])
                _median_filter(u[1])
            change = _iterate(u, dual_x, dual_y, slope, rho, inverse, reach, theta, dual_step)
            # OpenCV's GPU code, for which a sum is dear, looks again only when it may be worth it.
            if lazy_check and (n % 2 == 0 or unchecked >= enough):
                unchecked -= enough
            elif change <= enough:
                break
            else:
                unchecked = change


@compiled
def _linearise(
    first: Float32,
    second: Float32,
    u: Float32,
    cubic: np.float32,
    slope: Float32,
    rho: Float32,
    inverse: Float32,
) -> None:
    """Warp I1 and its gradient by u0 = u, and linearise I1(x + u) - I0(x) there."""
    height, width = first.shape
    stride = second.shape[2]
    weights_x = np.empty((4, width), np.float32)
    weights_y = np.empty((4, width), np.float32)
    corner = np.empty(width, np.int64)
    for y in range(height):
        for x in range(width):
            at_x = min(max(f32(x) + u[0, y, x], f32(-2)), f32(width + 1))
            at_y = min(max(f32(y) + u[1, y, x], f32(-2)), f32(height + 1))
            left, top = math.floor(at_x), math.floor(at_y)
            corner[x] = (top - 1 + PAD) * stride + (left - 1 + PAD)
            _cubic_weights(at_x - f32(left), cubic, weights_x, x)
            _cubic_weights(at_y - f32(top), cubic, weights_y, x)
        _interpolate_row(second[0].reshape(-1), stride, corner, weights_x, weights_y, rho[y])
        _interpolate_row(second[1].reshape(-1), stride, corner, weights_x, weights_y, slope[0, y])
        _interpolate_row(second[2].reshape(-1), stride, corner, weights_x, weights_y, slope[1, y])
        for x in range(width):
            slope_x, slope_y = slope[0, y, x], slope[1, y, x]
            rho[y, x] -= slope_x * u[0, y, x] + slope_y * u[1, y, x] + first[y, x]
            square = slope_x * slope_x + slope_y * slope_y
            inverse[y, x] = ONE / square if square > FLAT else ZERO


@compiled
def _cubic_weights(t: np.float32, a: np.float32, weights: Float32, x: int) -> None:
    """Cubic convolution (Keys 1981) at t in [0, 1) between its second and third tap."""
    rest = ONE - t
    weights[0, x] = a * t * rest * rest
    weights[1, x] = ((a + f32(2)) * t - (a + f32(3))) * t * t + ONE
    weights[2, x] = ((a + f32(2)) * rest - (a + f32(3))) * rest * rest + ONE
    weights[3, x] = a * rest * t * t


@compiled
def _interpolate_row(
    plane: Float32,
    stride: int,
    corner: npt.NDArray[np.int64],
    weights_x: Float32,
    weights_y: Float32,
    row: Float32,
) -> None:
    """row[x] = the 4x4 pixels of the flat `plane` from corner[x] on, weighted."""
    for x in range(row.size):
        total = ZERO
        for j in range(4):
            # Unsigned, or numba would look for indices that count from the end.
            start = np.uint64(corner[x] + j * stride)
            across = ZERO
            for i in range(4):
                across += weights_x[i, x] * plane[start + np.uint64(i)]
            total += weights_y[j, x] * across
        row[x] = total


@compiled
def _iterate(
    u: Float32,
    dual_x: Float32,
    dual_y: Float32,
    slope: Float32,
    rho: Float32,
    inverse: Float32,
    reach: np.float32,
    theta: np.float32,
    dual_step: np.float32,
) -> float:
    """One primal and one dual step; returns the sum of the squared change of u, in pixels²."""
    height, width = rho.shape
    pull = np.empty(width, np.float32)
    change = 0.0
    # The dual step of a row needs u in the next row: it follows one row behind, in the cache.
    for y in range(height + 1):
        if y < height:
            _threshold_row(
                u[0, y], u[1, y], slope[0, y], slope[1, y], rho[y], inverse[y], reach, pull
            )
            for c in range(2):
                row_change = _primal_row(
                    u[c, y], pull, slope[c, y], dual_x[c, y], dual_y[c, y], dual_y[c, y + 1], theta
                )
                change += float(row_change)
        if y > 0:
            below = min(y, height - 1)
            for c in range(2):
                _dual_row(u[c, y - 1], u[c, below], dual_x[c, y - 1], dual_y[c, y], dual_step)
    return change


@compiled
def _threshold_row(
    u1: Float32,
    u2: Float32,
    slope_x: Float32,
    slope_y: Float32,
    rho: Float32,
    inverse: Float32,
    reach: np.float32,
    pull: Float32,
) -> None:
    """v = u + pull * slope minimises the data term (Zach et al., proposition 3)."""
    for x in range(pull.size):
        residual = rho[x] + slope_x[x] * u1[x] + slope_y[x] * u2[x]
        pull[x] = min(max(-residual * inverse[x], -reach), reach)


@compiled
def _primal_row(
    u: Float32,
    pull: Float32,
    slope: Float32,
    dual_x: Float32,
    dual_y_above: Float32,
    dual_y: Float32,
    theta: np.float32,
) -> np.float32:
    """u = v + θ div(dual), for one component; returns the sum of its squared change."""
    change = ZERO
    for x in range(pull.size):
        divergence = dual_x[x + 1] - dual_x[x] + dual_y[x] - dual_y_above[x]
        step = pull[x] * slope[x] + theta * divergence
        u[x] += step
        change += step * step
    u[pull.size] = u[pull.size - 1]
    return change


@compiled
def _dual_row(
    u: Float32, u_below: Float32, dual_x: Float32, dual_y: Float32, dual_step: np.float32
) -> None:
    """dual = (dual + τ/θ ∇u) / (1 + τ/θ |∇u|), for one component."""
    for x in range(dual_y.size):
        across = u[x + 1] - u[x]
        down = u_below[x] - u[x]
        shrink = ONE / (ONE + dual_step * math.sqrt(across * across + down * down))
        dual_x[x + 1] = (dual_x[x + 1] + dual_step * across) * shrink
        dual_y[x] = (dual_y[x] + dual_step * down) * shrink


@compiled
def _median_filter(u: Float32) -> None:
    """5x5 median of one component of the flow, in place; the border is repeated."""
    height, width = u.shape[0], u.shape[1] - 1
    unfiltered = u.copy()
    window = np.empty((25, width), np.float32)
    for y in range(height):
        for j in range(5):
            row = unfiltered[min(max(y + j - 2, 0), height - 1)]
            for i in range(5):
                for x in range(width):
                    window[5 * j + i, x] = row[min(max(x + i - 2, 0), width - 1)]
        _median_rows(window)
        u[y, :width] = window[12]
        u[y, width] = window[12, width - 1]


@compiled
def _median_rows(window: Float32) -> None:
    """(25, W): row 12 becomes the median of each column.

    The least and the greatest of any 14 of 25 values are not their median: forget both, take in
    the next value, and go on with 13, until one value is left.
    """
    for least in range(12):
        greatest = least + 13
        _order(window[least], window[greatest])
        for other in range(least + 1, 13):
            _order(window[least], window[other])
            _order(window[other], window[greatest])


@compiled
def _order(lesser: Float32, greater: Float32) -> None:
    """Swap where lesser > greater."""
    for x in range(lesser.size):
        a, b = lesser[x], greater[x]
        lesser[x] = min(a, b)
        greater[x] = max(a, b)
