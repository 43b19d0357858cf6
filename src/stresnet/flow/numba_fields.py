"""The arrays of one level of the pyramid, laid out so that no inner loop knows a border.

All fields lie in one array, (H, FIELDS, P): row beside row, so that an inner loop walks through
memory from one end to the other. P is `whole_lanes(W + 1)`.

Flow is in units of θ/τ pixels, in which the dual step is 1, and slopes are per such unit.
"""

from __future__ import annotations

import numpy as np

from stresnet.flow.simd import FLOAT_BYTES, LANES, Float32, whole_lanes

FLOW = 0  # and 1: u
SLOPE = 2  # and 3: gradient of the warped I1
DUAL_X = 4  # and 5: dual of the x-derivative of u, between x and x+1
DUAL_Y = 6  # and 7: dual of the y-derivative of u, between y and y+1
RHO = 8  # the residual at zero flow: I1(x+u0) - <slope, u0> - I0
INVERSE = 9  # 1 / (τ |slope|²)
FIRST = 10  # I0
FIELDS = 11

CACHE_LINE = LANES  # in floats: 64 bytes
# From this size on, in floats, numpy asks for huge pages, which come without a fault every 4 kB.
HUGE = 1 << 20


def memory_for(height: int, width: int) -> Float32:
    """What `new_fields` needs for this size, or any smaller one."""
    return np.empty(max(HUGE, _floats(height, width) + CACHE_LINE), np.float32)


def new_fields(height: int, width: int, memory: Float32) -> Float32:
    """(H, FIELDS, P) in `memory`; the duals and all columns from W on are 0, the rest is unset.

    Memory before the first row, where the dual has its border, is zero too. Its border before x = 0
    is the last column of the field before, which stays 0, as do all columns from W on of flow,
    slope and duals.
    """
    start = -(memory.ctypes.data // FLOAT_BYTES) % CACHE_LINE
    aligned = memory[start : start + _floats(height, width)]
    rows = aligned.reshape(height + 1, FIELDS, -1)
    rows[:, DUAL_X:RHO] = 0
    rows[:, :, width:] = 0
    return rows[1:]


def _floats(height: int, width: int) -> int:
    return (height + 1) * FIELDS * whole_lanes(width + 1)
