"""A network is shown what it was trained on: preparations are compared, and followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from making_stores import PREPARATION, write_store
from stresnet.data.prepare.preparation import (
    flow_parameters,
    preparation,
    require_same_preparation,
    short_side,
)
from stresnet.data.store.format import FLOW_FORMAT, Origin
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, WeightsError
from stresnet.flow import AUTHORS, FAST, OPENCV_CPU
from tiny_data import toy_video

IMPORTED = {
    "short_side": 48,
    "flow": "imported",
    **FLOW_FORMAT,
    "imported_from": "denseflow",
    "imported_bound": 32.0,
    "imported_fps": 25.0,
}

# Of a model and its stores, 2026-11-24.
FIRST_VERSION = {
    "short_side": 256,
    "jpeg_quality": 95,
    "flow": "TV-L1",
    "flow_bound": 20.0,
    "flow_levels": "round(255 (v + bound) / (2 bound)), clipped to 0 ... 255",
    "flow_channels": "x (right), then y (down)",
    "flow_alignment": "field k from frame k to k+1, both counted from 0",
    "tv_l1_tau": 0.25,
    "tv_l1_lambda_": 0.15,
    "tv_l1_theta": 0.3,
    "tv_l1_scales": 5,
    "tv_l1_scale_step": 0.8,
    "tv_l1_warps": 5,
    "tv_l1_epsilon": 0.01,
    "tv_l1_iterations": 300,
    "tv_l1_lazy_check": True,
    "tv_l1_median_every": 0,
    "tv_l1_beyond": "edge",
    "tv_l1_cubic": -0.5,
    "tv_l1_warm_start": False,
}


def store(path: Path, made: dict[str, Any]) -> StoredVideo:
    video, flow = toy_video("falls", seed=0, frames=3)
    return write_store(path, video, flow, origin=Origin("a", "0" * 64), preparation=made)


@pytest.mark.parametrize("made", [dict(PREPARATION), preparation(FAST, short_side=128), IMPORTED])
def test_equal_preparations_are_accepted(tmp_path: Path, made: dict[str, Any]) -> None:
    video = store(tmp_path / "a.zip", made)
    require_same_preparation(made, [video])
    require_same_preparation({}, [video])  # nobody recorded it
    require_same_preparation({**made, "imported_fps": 30.0}, [video] if made is IMPORTED else [])


@pytest.mark.parametrize(
    ("trained", "made", "named"),
    [
        (PREPARATION, preparation(short_side=128), "short_side is 128, expected 256"),
        (PREPARATION, preparation(FAST), "tv_l1_warps is 2, expected 5"),
        (PREPARATION, IMPORTED, "flow is 'imported', expected 'TV-L1'"),
        (IMPORTED, dict(PREPARATION), "flow is 'TV-L1', expected 'imported'"),
        (IMPORTED, {**IMPORTED, "imported_bound": 20.0}, "imported_bound is 20.0, expected 32.0"),
        ({**PREPARATION, "flow_bound": 32.0}, dict(PREPARATION), "flow_bound is 20.0, expected 32"),
    ],
)
def test_what_differs_is_named_with_both_values(
    tmp_path: Path, trained: dict[str, Any], made: dict[str, Any], named: str
) -> None:
    videos = [store(tmp_path / "b.zip", made), store(tmp_path / "c.zip", made)]
    with pytest.raises(DatasetError, match=named) as caught:
        require_same_preparation(trained, videos, model="star")
    assert "b.zip and 1 more" in str(caught.value) and "star" in str(caught.value)
    assert "--store" in caught.value.remedy


def test_stores_that_cannot_be_read_are_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK")
    videos = [StoredVideo(tmp_path / name) for name in ("broken.zip", "missing.zip")]
    require_same_preparation(PREPARATION, videos)


@pytest.mark.parametrize("parameters", [AUTHORS, FAST, OPENCV_CPU])
def test_a_model_s_flow_is_computed_again(parameters: Any) -> None:
    assert flow_parameters(preparation(parameters)) == parameters
    assert short_side(preparation(parameters, short_side=np.int64(96).item())) == 96


def test_stores_and_models_of_the_first_version_are_used_as_they_are() -> None:
    """What is recorded has not changed, so that nothing is prepared again."""
    assert preparation(flow_parameters(FIRST_VERSION)) == FIRST_VERSION


def test_flow_that_is_not_recorded_is_the_authors(caplog: pytest.LogCaptureFixture) -> None:
    assert (flow_parameters({}), short_side({})) == (AUTHORS, 256)
    assert not caplog.records
    assert (flow_parameters(IMPORTED), short_side(IMPORTED)) == (AUTHORS, 48)
    assert "imported from denseflow" in caplog.text


@pytest.mark.parametrize(
    ("recorded", "named"),
    [
        ({**PREPARATION, "flow_bound": 32.0}, r"flow_bound is 32\.0, expected 20\.0"),
        ({**PREPARATION, "tv_l1_magic": 1}, "tv_l1_magic"),
        ({**PREPARATION, "tv_l1_warm_start": True}, "tv_l1_warm_start"),
        ({**PREPARATION, "tv_l1_warps": "many"}, "usable flow parameters"),
        ({**PREPARATION, "tv_l1_warps": -1}, "usable flow parameters"),
    ],
)
def test_flow_that_cannot_be_computed_is_refused(recorded: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsError, match=named):
        flow_parameters(recorded, model="star")


def test_a_short_side_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(WeightsError, match="short_side is 'wide'"):
        short_side({"short_side": "wide"})
