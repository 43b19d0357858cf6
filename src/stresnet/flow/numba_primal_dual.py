"""Iterations of TV-L1's primal-dual scheme on one processor core."""

from __future__ import annotations

from typing import Any

import numpy as np

from stresnet.flow.jit import compiled, inlined
from stresnet.flow.numba_fields import DUAL_X, DUAL_Y, FLOW, INVERSE, RHO, SLOPE
from stresnet.flow.simd import (
    LANES,
    Float32,
    Lanes,
    greater,
    leading,
    lesser,
    load,
    root,
    store,
    total,
    zeros,
)

# numba computes float32 with a Python float in float64, so constants are typed.
ONE = np.float32(1)


@compiled
def iterate(fields: Float32, width: int, count: int, reach: np.float32, tau: np.float32) -> float:
    """`count` iterations; returns the sum of the squared change of u in the last.

    `reach` is λθ/τ, in the units of `fields`; `width` the number of columns that are pixels.
    """
    height = fields.shape[0]
    change = 0.0
    # An iteration needs only two rows of the one before, its own and the one below: it follows one
    # row behind, while these are in the cache.
    for front in range(height + count):
        for iteration in range(max(0, front - height), min(count, front + 1)):
            y = front - iteration
            if iteration < count - 1:
                _row_step(fields, y, width, reach, tau, False)
            else:
                change += float(_row_step(fields, y, width, reach, tau, True))
    return float(tau) ** 2 * change


@inlined
def _row_step(
    fields: Float32, y: int, width: int, reach: np.float32, tau: np.float32, looks: bool
) -> Any:
    """Primal step of row y, then dual step of row y-1, which needs u in row y; both if they exist.

    Returns, if it `looks`, the sum of the squared change of u, in units of τ², float32.
    """
    change = zeros()
    if y == 0:
        for x in range(0, width, LANES):
            _, _, step1, step2 = _primal_step(fields, y, x, reach, tau)
            if looks:
                change = change + step1 * step1 + step2 * step2
    elif y < fields.shape[0]:
        for x in range(0, width, LANES):
            u1, u2, step1, step2 = _primal_step(fields, y, x, reach, tau)
            if looks:
                change = change + step1 * step1 + step2 * step2
            _dual_step(fields, 0, y - 1, x, width, u1)
            _dual_step(fields, 1, y - 1, x, width, u2)
    else:
        for x in range(0, width, LANES):
            _dual_step(fields, 0, y - 1, x, width, load(fields, (y - 1, FLOW, x)))
            _dual_step(fields, 1, y - 1, x, width, load(fields, (y - 1, FLOW + 1, x)))
    return total(change)


@inlined
def _primal_step(
    fields: Float32, y: int, x: int, reach: np.float32, tau: np.float32
) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """u = v + θ div(dual); returns it, and its change in units of τ."""
    u1, u2 = load(fields, (y, FLOW, x)), load(fields, (y, FLOW + 1, x))
    slope_x, slope_y = load(fields, (y, SLOPE, x)), load(fields, (y, SLOPE + 1, x))
    # v = u + τ pull * slope minimises the data term (Zach et al., proposition 3).
    residual = load(fields, (y, RHO, x)) + slope_x * u1 + slope_y * u2
    pull = lesser(greater(zeros() - residual * load(fields, (y, INVERSE, x)), -reach), reach)
    step1 = pull * slope_x + _divergence(fields, 0, y, x)
    step2 = pull * slope_y + _divergence(fields, 1, y, x)
    u1, u2 = u1 + tau * step1, u2 + tau * step2
    store(fields, (y, FLOW, x), u1)
    store(fields, (y, FLOW + 1, x), u2)
    return u1, u2, step1, step2


@inlined
def _divergence(fields: Float32, c: int, y: int, x: int) -> Lanes:
    across = load(fields, (y, DUAL_X + c, x)) - load(fields, (y, DUAL_X + c, x - 1))
    return across + (load(fields, (y, DUAL_Y + c, x)) - load(fields, (y - 1, DUAL_Y + c, x)))


@inlined
def _dual_step(fields: Float32, c: int, y: int, x: int, width: int, below: Lanes) -> None:
    """dual = (dual + ∇u) / (1 + |∇u|) (Zach et al., proposition 1), given u in the next row."""
    here = load(fields, (y, FLOW + c, x))
    across = leading(load(fields, (y, FLOW + c, x + 1)) - here, width - 1 - x)
    down = below - here
    shrink = ONE / (ONE + root(across * across + down * down))
    store(fields, (y, DUAL_X + c, x), (load(fields, (y, DUAL_X + c, x)) + across) * shrink)
    store(fields, (y, DUAL_Y + c, x), (load(fields, (y, DUAL_Y + c, x)) + down) * shrink)
