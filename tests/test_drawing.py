"""Words, bars and heat on pictures."""

import numpy as np
import pytest

from stresnet.drawing import blended, draw_bar, draw_text, heat, resized


def test_text_changes_only_its_own_rectangle() -> None:
    picture = np.full((40, 120, 3), 77, np.uint8)
    width = draw_text(picture, "fight", 10, 5, size=14)
    assert (picture[:, :10] == 77).all() and (picture[:, 10 + width :] == 77).all()
    assert (picture[:, 10 : 10 + width] == 255).any()


@pytest.mark.parametrize(("x", "y"), [(-15, 5), (110, 5), (10, -8), (10, 35), (500, 500)])
def test_text_may_reach_over_the_edge(x: int, y: int) -> None:
    picture = np.zeros((40, 120, 3), np.uint8)
    draw_text(picture, "fight", x, y)
    assert picture.shape == (40, 120, 3)


def test_bar_is_as_long_as_its_fraction() -> None:
    picture = np.full((10, 100, 3), 90, np.uint8)
    draw_bar(picture, 0.25, 0, 2, 100, 4, (230, 159, 0))
    assert (picture[2:6, :25] == (230, 159, 0)).all()
    assert (picture[2:6, 25:] == 30).all() and (picture[:2] == 90).all()


def test_blending_with_no_and_full_opacity() -> None:
    rng = np.random.default_rng(0)
    below, above = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(blended(below, above, 0.0), below)
    np.testing.assert_array_equal(blended(below, above, np.ones((6, 8))), above)


def test_heat_grows_lighter() -> None:
    lightness = heat(np.linspace(0, 1, 50)[None]).astype(float).sum(-1)[0]
    assert (np.diff(lightness) >= 0).all()


def test_resized_keeps_a_plain_picture_plain() -> None:
    assert (resized(np.full((10, 12, 3), 50, np.uint8), 33, 21) == 50).all()
