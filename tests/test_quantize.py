"""Flow in bytes: ±20 px on 256 levels, 128 is still."""

from __future__ import annotations

import numpy as np

from stresnet.flow import to_bytes, to_pixels
from stresnet.flow.quantize import BOUND, negate

LEVEL = 2 * BOUND / 255
EVERY_BYTE = np.arange(256, dtype=np.uint8)


def test_still_is_128():
    assert to_bytes(np.zeros((2, 3), np.float32)).tolist() == [[128] * 3] * 2


def test_the_bound_is_the_range_and_beyond_is_clipped():
    flow = np.array([-1e9, -20.1, -20, 20, 20.1, 1e9], np.float32)
    assert to_bytes(flow).tolist() == [0, 0, 0, 255, 255, 255]


def test_a_round_trip_is_within_half_a_level():
    flow = np.linspace(-BOUND, BOUND, 10_001, dtype=np.float32)
    assert np.abs(to_pixels(to_bytes(flow)) - flow).max() <= LEVEL / 2 + 1e-5


def test_bytes_survive_pixels():
    np.testing.assert_array_equal(to_bytes(to_pixels(EVERY_BYTE)), EVERY_BYTE)


def test_types_and_shapes_are_kept():
    flow = np.zeros((3, 2, 4, 5), np.float32)
    levels = to_bytes(flow)
    assert levels.shape == flow.shape and levels.dtype == np.uint8
    assert to_pixels(levels).shape == flow.shape and to_pixels(levels).dtype == np.float32
    assert negate(levels).shape == flow.shape and negate(levels).dtype == np.uint8


def test_negating_mirrors_about_128():
    signed = EVERY_BYTE.astype(int) - 128
    np.testing.assert_array_equal(negate(EVERY_BYTE).astype(int) - 128, np.minimum(-signed, 127))


def test_negating_twice_is_the_identity_but_for_the_byte_without_opposite():
    np.testing.assert_array_equal(negate(negate(EVERY_BYTE))[1:], EVERY_BYTE[1:])
    assert negate(negate(EVERY_BYTE))[0] == 1


def test_negated_bytes_are_those_of_the_negated_flow_within_a_level():
    flow = np.random.default_rng(0).uniform(-BOUND, BOUND, 1000).astype(np.float32)
    difference = negate(to_bytes(flow)).astype(int) - to_bytes(-flow)
    assert difference.min() >= 0 and difference.max() <= 1
