"""The Middlebury colour wheel."""

from __future__ import annotations

import numpy as np
import pytest

from stresnet.errors import UsageError
from stresnet.flow.colour import to_colour


def pixel(x, y, max_px=1.0):
    return to_colour(np.array([[[x]], [[y]]], np.float32), max_px)[0, 0].tolist()


def test_still_is_white():
    assert (to_colour(np.zeros((2, 3, 4), np.float32)) == 255).all()


def test_right_is_red_and_the_wheel_turns_over_yellow():
    assert pixel(1, 0) == [255, 0, 0]
    red, green, blue = pixel(0.7, 0.7)
    assert red == 255 and 100 < green < 150 and blue < 5


def test_left_is_blue():
    red, _, blue = pixel(-1, 0)
    assert blue == 255 and red == 0


def test_slower_is_paler_and_too_fast_is_darker():
    assert pixel(0.5, 0) == [255, 127, 127]
    assert pixel(2, 0) == [191, 0, 0]


def test_the_fastest_pixel_sets_the_scale():
    flow = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
    fastest = float(np.hypot(*flow).max())
    np.testing.assert_array_equal(to_colour(flow), to_colour(flow, fastest))


def test_leading_axes_are_kept():
    flow = np.random.default_rng(0).standard_normal((3, 4, 2, 5, 6)).astype(np.float32)
    pictures = to_colour(flow, 2.0)
    assert pictures.shape == (3, 4, 5, 6, 3) and pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures[1, 2], to_colour(flow[1, 2], 2.0))
    assert to_colour(flow[:0]).shape == (0, 4, 5, 6, 3)


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="shape"):
        to_colour(np.zeros((3, 5, 6), np.float32))
    with pytest.raises(UsageError, match="max_px"):
        to_colour(np.zeros((2, 5, 6), np.float32), 0)
