"""Laws of the vectors that TV-L1's compiled loops are written in: each acts as numpy would."""

import numba
import numpy as np
import pytest

import stresnet.flow.simd as lanes
from stresnet.flow.simd import LANES, load, store, whole_lanes

RNG = np.random.default_rng(0)
ROWS = RNG.uniform(0.5, 2, (4, LANES)).astype(np.float32)
ONE_AND_A_HALF = np.float32(1.5)


def vector_of(part):
    """part(a, b, c, d) of the four rows, compiled."""
    part = numba.njit(part)

    @numba.njit
    def filled(rows, result):
        a, b = load(rows, (0, 0)), load(rows, (1, 0))
        store(result, (0,), part(a, b, load(rows, (2, 0)), load(rows, (3, 0))))

    result = np.empty(LANES, np.float32)
    filled(ROWS, result)
    return result


@pytest.mark.parametrize(
    "part",
    [
        lambda a, b, c, d: a + b,
        lambda a, b, c, d: a - b,
        lambda a, b, c, d: a * b,
        lambda a, b, c, d: a / b,
        lambda a, b, c, d: a + ONE_AND_A_HALF,
        lambda a, b, c, d: ONE_AND_A_HALF / a,
        lambda a, b, c, d: a * b + c * d,  # would differ, were it fused
        lambda a, b, c, d: ((a + b) - a) - b,  # would be 0, were it reordered
    ],
    ids=["+", "-", "*", "/", "with a number", "of a number", "not fused", "not reordered"],
)
def test_arithmetic_is_lane_by_lane_and_rounded_as_numpy_does(part):
    np.testing.assert_array_equal(vector_of(part), part(*ROWS))


def test_functions_are_lane_by_lane():
    lesser, greater = lanes.lesser, lanes.greater
    np.testing.assert_array_equal(vector_of(lambda a, b, c, d: lesser(a, b)), np.minimum(*ROWS[:2]))
    np.testing.assert_array_equal(
        vector_of(lambda a, b, c, d: greater(a, b)), np.maximum(*ROWS[:2])
    )


def test_the_root_is_rounded_as_numpy_does():
    root = lanes.root
    np.testing.assert_array_equal(vector_of(lambda a, b, c, d: root(a)), np.sqrt(ROWS[0]))


@pytest.mark.parametrize("count", [-3, 0, 1, 15, 16, 40])
def test_leading_lanes_stay(count):
    leading = lanes.leading
    expected = np.where(np.arange(LANES) < count, ROWS[0], 0)
    np.testing.assert_array_equal(vector_of(lambda a, b, c, d: leading(a, count)), expected)


def test_sums():
    total, zeros, quarter_sums = lanes.total, lanes.zeros, lanes.quarter_sums
    summed = vector_of(lambda a, b, c, d: zeros() + total(a))
    np.testing.assert_allclose(summed, np.full(LANES, ROWS[0].sum()), rtol=1e-6)
    quarters = vector_of(lambda a, b, c, d: quarter_sums(a, b, c, d))
    expected = ROWS.reshape(4, 4, 4).sum(axis=1).reshape(-1)
    np.testing.assert_allclose(quarters, expected, rtol=1e-6)


def test_every_fourth_lane_of_four_vectors():
    first, second, third = lanes.first_of_four, lanes.second_of_four, lanes.third_of_four
    flat = ROWS.reshape(-1)
    got = vector_of(lambda a, b, c, d: first(a, b, c, d))
    np.testing.assert_array_equal(got, flat[0::4])
    got = vector_of(lambda a, b, c, d: second(a, b, c, d))
    np.testing.assert_array_equal(got, flat[1::4])
    got = vector_of(lambda a, b, c, d: third(a, b, c, d))
    np.testing.assert_array_equal(got, flat[2::4])


def test_load_and_store_take_any_place_of_any_rows():
    @numba.njit
    def moved(source, target):
        store(target, (1, 2, 3), load(source, (1, 0, 5)))

    source = RNG.random((3, 4, 40)).astype(np.float32)[:, ::2]
    target = np.zeros((2, 3, 24), np.float32)
    moved(source, target)
    np.testing.assert_array_equal(target[1, 2, 3 : 3 + LANES], source[1, 0, 5 : 5 + LANES])
    assert np.count_nonzero(target) == LANES


def test_whole_lanes():
    assert [whole_lanes(n) for n in (0, 1, 16, 17)] == [0, 16, 16, 32]
