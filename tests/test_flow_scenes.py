"""The benchmarks' scenes move as they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

SOURCE = Path(__file__).parent.parent / "benchmarks/flow_scenes.py"


@pytest.fixture(scope="module")
def scenes():
    spec = importlib.util.spec_from_file_location("flow_scenes", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["flow_scenes"] = module
    spec.loader.exec_module(module)
    noise = np.random.default_rng(0).normal(size=(2 * 96, 2 * 120))
    smooth = ndimage.gaussian_filter(noise, 8)
    grey = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    yield list(module.scenes(grey))
    del sys.modules["flow_scenes"]


def test_the_second_frame_shows_at_the_end_point_what_the_first_showed(scenes):
    assert len({scene.name for scene in scenes}) == len(scenes) == 8
    for scene in scenes:
        first, second = scene.frames.astype(float)
        y, x = np.mgrid[: first.shape[0], : first.shape[1]]
        end_point = [y + scene.flow[1], x + scene.flow[0]]
        difference = np.abs(ndimage.map_coordinates(second, end_point, order=1) - first)
        # One grey level of noise in each frame; only a seam of the moving ellipse differs more.
        assert difference[scene.visible].mean() < 1.8, scene.name


def test_what_is_covered_or_leaves_the_frame_is_not_visible(scenes):
    for scene in scenes:
        height, width = scene.visible.shape
        y, x = np.mgrid[:height, :width]
        end_x, end_y = x + scene.flow[0], y + scene.flow[1]
        outside = (end_x < 0) | (end_x > width - 1) | (end_y < 0) | (end_y > height - 1)
        assert not scene.visible[outside].any()
    hidden = ~scenes[-1].visible
    assert hidden[height // 4 : -height // 4, width // 4 : -width // 4].any()
