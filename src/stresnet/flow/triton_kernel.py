"""What TV-L1 does most on a GPU, each in one pass over memory: the data term, and an iteration.

The arithmetic of `torch_kernel`, which calls these where there is a CUDA device and Triton, which
comes with torch's CUDA builds for Linux. A program computes BLOCK pixels of one pair, and no two
programs write to the same place, so that a result does not depend on their order.

    TRITON_INTERPRET=1      runs the same on a processor, slowly (tests/test_triton_kernel.py)
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from stresnet.flow.parameters import FLAT, PARTS, TVL1Parameters

BLOCK = 512  # pixels of a program; not measured on a GPU


class FusedStep:
    """One primal and one dual step of pairs of one size, from one half of its memory to the other.

    Called like `torch_kernel._step`; the call after next overwrites what it returns.
    """

    def __init__(self, u: Tensor) -> None:
        pairs, _, height, width = u.shape
        self._spare = torch.empty_like(u), torch.empty_like(torch.stack((u, u)))
        # Of each program's pixels; added in a fixed order.
        self._change = u.new_zeros(pairs, triton.cdiv(height * width, BLOCK))

    def __call__(
        self,
        u: Tensor,
        dual: Tensor,
        term: tuple[Tensor, Tensor, Tensor],
        ended: Tensor,
        n: int,
        p: TVL1Parameters,
    ) -> tuple[Tensor, Tensor, Tensor]:
        pairs, _, height, width = u.shape
        new_u, new_dual = self._spare
        _step[(self._change.shape[1], pairs)](
            u, *dual, *term, ended, new_u, *new_dual, self._change,
            n, height, width, p.lambda_ * p.theta, p.theta, p.tau / p.theta, BLOCK,
            num_warps=4,
        )  # fmt: skip
        self._spare = u, dual
        return new_u, new_dual, self._change.sum(1)


def linearise(first: Tensor, target: Tensor, u: Tensor, p: TVL1Parameters) -> list[Tensor]:
    """As `torch_kernel._linearise`: slope (B, 2, H, W), rho and inverse (B, 1, H, W)."""
    pairs, _, height, width = u.shape
    found = [torch.empty_like(u), torch.empty_like(u[:, :1]), torch.empty_like(u[:, :1])]
    _linearise[(triton.cdiv(height * width, BLOCK), pairs)](
        first.contiguous(), target, u, *found,
        height, width, p.cubic, p.beyond == "black", PARTS, float(FLAT), BLOCK,
        num_warps=4,
    )  # fmt: skip
    return found


@triton.jit(do_not_specialize=["n"])
def _step(
    u, across, down, slope, rho, inverse, ended,
    new_u, new_across, new_down, change,
    n, height, width, reach, theta, rate, BLOCK: tl.constexpr,
):  # fmt: skip
    """Iteration n of the pairs that have not `ended` before.

    A pair that has just ended is copied once; from then on both halves of memory hold its result.
    """
    pair = tl.program_id(1).to(tl.int64)
    end = tl.load(ended + pair)
    if end < n:
        return
    area = height * width
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y, inside = i % width, i // width, i < area
    of_two, of_one = 2 * area * pair, area * pair
    u, new_u, slope = u + of_two, new_u + of_two, slope + of_two
    across, new_across = across + of_two, new_across + of_two
    down, new_down = down + of_two, new_down + of_two
    rho, inverse = rho + of_one, inverse + of_one
    if end == n:
        for c in tl.static_range(2):
            at = c * area + i
            tl.store(new_u + at, tl.load(u + at, inside), inside)
            tl.store(new_across + at, tl.load(across + at, inside), inside)
            tl.store(new_down + at, tl.load(down + at, inside), inside)
        return
    not_right, not_bottom = inside & (x + 1 < width), inside & (y + 1 < height)
    v1, v2, pixel_change = _primal(
        u, across, down, slope, rho, inverse, i, x, y, inside, area, width, reach, theta
    )
    # The neighbours' new values are computed here once more: they belong to other programs.
    right1, right2, _ = _primal(
        u, across, down, slope, rho, inverse, i + 1, x + 1, y, not_right, area, width, reach, theta
    )
    below1, below2, _ = _primal(
        u, across, down, slope, rho, inverse, i + width, x, y + 1, not_bottom, area, width, reach,
        theta,
    )  # fmt: skip
    tl.store(new_u + i, v1, inside)
    tl.store(new_u + area + i, v2, inside)
    _dual(
        across, down, new_across, new_down, i, inside, rate,
        tl.where(not_right, right1 - v1, 0.0), tl.where(not_bottom, below1 - v1, 0.0),
    )  # fmt: skip
    _dual(
        across, down, new_across, new_down, i + area, inside, rate,
        tl.where(not_right, right2 - v2, 0.0), tl.where(not_bottom, below2 - v2, 0.0),
    )  # fmt: skip
    part = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    tl.store(change + part, tl.sum(tl.where(inside, pixel_change, 0.0)))


@triton.jit
def _primal(
    u, across, down, slope, rho, inverse,
    i, x, y, inside, area, width, reach, theta,
):  # fmt: skip
    """Both components of v + theta div(dual) at pixels i, and the square of their change."""
    u1, u2 = tl.load(u + i, inside, 0.0), tl.load(u + area + i, inside, 0.0)
    slope_x = tl.load(slope + i, inside, 0.0)
    slope_y = tl.load(slope + area + i, inside, 0.0)
    residual = tl.load(rho + i, inside, 0.0) + slope_x * u1 + slope_y * u2
    pull = -residual * tl.load(inverse + i, inside, 0.0)
    pull = tl.minimum(tl.maximum(pull, -reach), reach)
    step1 = pull * slope_x + theta * _divergence(across, down, i, x, y, inside, width)
    step2 = pull * slope_y + theta * _divergence(across + area, down + area, i, x, y, inside, width)
    return u1 + step1, u2 + step2, step1 * step1 + step2 * step2


@triton.jit
def _divergence(across, down, i, x, y, inside, width):
    """Divergence of one component's dual, 0 left of the first column and above the first row."""
    left = tl.load(across + i - 1, inside & (x > 0), 0.0)
    above = tl.load(down + i - width, inside & (y > 0), 0.0)
    return tl.load(across + i, inside, 0.0) - left + tl.load(down + i, inside, 0.0) - above


@triton.jit
def _dual(
    across, down, new_across, new_down, at, inside, rate,
    gradient_x, gradient_y,
):  # fmt: skip
    """Store (dual + rate grad u) / (1 + rate |grad u|) of one component."""
    shrink = 1 + rate * tl.sqrt(gradient_x * gradient_x + gradient_y * gradient_y)
    old_x, old_y = tl.load(across + at, inside, 0.0), tl.load(down + at, inside, 0.0)
    tl.store(new_across + at, (old_x + rate * gradient_x) / shrink, inside)
    tl.store(new_down + at, (old_y + rate * gradient_y) / shrink, inside)


@triton.jit
def _linearise(
    first, target, u, slope, rho, inverse,
    height, width, cubic,
    BLACK: tl.constexpr, PARTS: tl.constexpr, FLAT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(1).to(tl.int64)
    area = height * width
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < area
    u, slope = u + 2 * area * pair, slope + 2 * area * pair
    first, rho, inverse = first + area * pair, rho + area * pair, inverse + area * pair
    target += 3 * area * pair
    u1 = tl.floor(tl.load(u + i, inside, 0.0) * PARTS + 0.5) / PARTS
    u2 = tl.floor(tl.load(u + area + i, inside, 0.0) * PARTS + 0.5) / PARTS
    to_x = tl.minimum(tl.maximum((i % width).to(tl.float32) + u1, -2.0), width + 1.0)
    to_y = tl.minimum(tl.maximum((i // width).to(tl.float32) + u2, -2.0), height + 1.0)
    left, top = tl.floor(to_x), tl.floor(to_y)
    image, slope_x, slope_y = u1 * 0, u1 * 0, u1 * 0
    for j in tl.static_range(4):
        row = top.to(tl.int32) + j - 1
        inside_row = tl.minimum(tl.maximum(row, 0), height - 1)
        for k in tl.static_range(4):
            column = left.to(tl.int32) + k - 1
            inside_column = tl.minimum(tl.maximum(column, 0), width - 1)
            weight = _cubic(to_y - top, cubic, j) * _cubic(to_x - left, cubic, k)
            if BLACK:
                seen = (row == inside_row) & (column == inside_column)
                weight = tl.where(seen, weight, 0.0)
            at = inside_row * width + inside_column
            image += weight * tl.load(target + at, inside, 0.0)
            slope_x += weight * tl.load(target + area + at, inside, 0.0)
            slope_y += weight * tl.load(target + 2 * area + at, inside, 0.0)
    square = slope_x * slope_x + slope_y * slope_y
    moved = slope_x * u1 + slope_y * u2
    tl.store(slope + i, slope_x, inside)
    tl.store(slope + area + i, slope_y, inside)
    tl.store(rho + i, image - moved - tl.load(first + i, inside, 0.0), inside)
    tl.store(inverse + i, 1 / tl.maximum(square, FLAT), inside)


@triton.jit
def _cubic(t, a, tap: tl.constexpr):
    """As `pyramid.cubic_weights`: the weight of one of four neighbours."""
    s = 1 - t
    if tap == 0:
        return a * t * s * s
    elif tap == 1:  # noqa: RET505 -- Triton compiles one return of an if and its else
        return ((a + 2) * t - (a + 3)) * t * t + 1
    elif tap == 2:
        return ((a + 2) * s - (a + 3)) * s * s + 1
    else:
        return a * s * t * t
