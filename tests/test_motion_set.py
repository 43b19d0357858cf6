"""The made clips differ in what they say they differ in, and in nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

from making_videos import read_video, texture, write_video
from stresnet.data.splits.csv_list import csv_list
from stresnet.errors import DatasetError
from stresnet.flow.quantize import FLOW_FIELDS

SOURCE = Path(__file__).parent.parent / "benchmarks/motion_set.py"


@pytest.fixture(scope="module")
def made() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("motion_set", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["motion_set"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["motion_set"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_opposite_motions_show_the_same_views_the_other_way_round(made: ModuleType) -> None:
    paths = dict(made.motion_clips(rng()))
    for one, other in (("tilt-up", "tilt-down"), ("zoom-in", "zoom-out")):
        np.testing.assert_allclose(paths[one], paths[other][::-1])
    ways = [np.sign(np.diff(dict(made.motion_clips(rng(i)))["pan"][:, 0])[0]) for i in range(20)]
    assert set(ways) == {-1, 1}


def test_both_orders_show_the_same_frames(made: ModuleType) -> None:
    paths = dict(made.order_clips(rng()))
    np.testing.assert_array_equal(paths["forwards"], paths["backwards"][::-1])


def steps(path: np.ndarray) -> list[str]:
    """The motions of a path, one a frame, by their names in the programme; "" is rest."""
    names = {(1, -1): "tilt-up", (1, 1): "tilt-down", (2, 1): "zoom-in", (2, -1): "zoom-out"}
    moved = np.round(np.diff(path, axis=0), 9)
    return [
        next((names[axis, int(np.sign(step[axis]))] for axis in (1, 2) if step[axis]), "")
        for step in moved
    ]


def test_no_flow_stack_tells_the_order_but_the_sequence_does(made: ModuleType) -> None:
    stacks: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    sequences = defaultdict(set)
    for seed in range(60):  # until every start has occurred
        for label, path in made.order_clips(rng(seed)):
            fields = steps(path)
            for at in range(len(fields) - FLOW_FIELDS + 1):
                stack = tuple(fields[at : at + FLOW_FIELDS])
                assert len(set(stack) - {""}) <= 1  # two motions never meet in a stack
                stacks[label].add(stack)
            moving = [name for name in fields if name]
            sequences[label] |= {pair for pair in pairwise(moving) if len(set(pair)) == 2}
    assert stacks["forwards"] == stacks["backwards"]
    assert not sequences["forwards"] & sequences["backwards"]
    assert len(sequences["forwards"]) == 4


def test_the_flow_is_that_of_the_camera(made: ModuleType) -> None:
    """What is seen moves against the camera."""
    side = made.SUPERSAMPLING * made.PICTURE_SIDE
    picture = np.kron(texture(side // 2, side // 2), np.ones((2, 2, 1), np.uint8))
    paths = {name: np.outer(np.arange(2), made.VELOCITIES[name]) for name in made.VELOCITIES}
    middle = slice(30, -30)
    y, x = np.mgrid[: made.SIDE, : made.SIDE][:, middle, middle] - (made.SIDE - 1) / 2
    expected = {
        "pan": (-1 + 0 * x, 0 * y),
        "tilt-up": (0 * x, 1 + 0 * y),
        "zoom-in": (x / made.REACH, y / made.REACH),
        "rotation": (y / made.REACH, -x / made.REACH),
    }
    centre = (made.SIDE - 1) / 2
    for name, (u, v) in expected.items():
        first, second = made.seen_from(picture, 2 * paths[name])[..., 1].astype(float)
        arrived = ndimage.map_coordinates(second, [y + centre + 2 * v, x + centre + 2 * u])
        here = first[middle, middle]
        left_over = np.abs(arrived - here).mean() / np.abs(second[middle, middle] - here).mean()
        assert left_over < 0.2, (name, left_over)


def test_sets_are_balanced_and_their_sources_disjoint(
    made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "SIDE", 32)
    monkeypatch.setattr(made, "PICTURE_SIDE", 54)
    monkeypatch.setattr(made, "FRAMES", {"motion": 5, "order": 5})
    with (tmp_path / "real.csv").open("w") as listed:
        listed.write("path,label,source\n")
        for number in range(6):
            frames = np.stack([texture(60, 80, seed=number)] * 2)
            write_video(tmp_path / f"{number}.mp4", frames)
            listed.write(f"{number}.mp4,any,source {number % 3}\n")
    arguments = ["--train", "12", "--test", "6"]
    for out in ("once", "again"):
        monkeypatch.setattr(
            sys, "argv", ["", str(tmp_path / "real.csv"), str(tmp_path / out), *arguments]
        )
        made.main()
    for name, classes in (("motion", 6), ("order", 2)):
        folder = tmp_path / "once" / name
        split = csv_list(folder / "folds.csv", fold=1)
        assert Counter(item.label for item in split.train) == dict.fromkeys(
            split.class_names, 12 // classes
        )
        assert Counter(item.label for item in split.test) == dict.fromkeys(
            split.class_names, 6 // classes
        )
        trained, tested = ({item.source for item in part} for part in (split.train, split.test))
        assert trained and tested and not trained & tested
        assert (tmp_path / "again" / name / "folds.csv").read_text() == (
            folder / "folds.csv"
        ).read_text()

    def frames(clip: str) -> np.ndarray:
        return read_video(tmp_path / clip, short_side=32).frames

    one = frames("once/order/forwards/0000.mp4")
    assert one.shape == (5, 32, 32, 3)
    assert np.array_equal(one, frames("again/order/forwards/0000.mp4"))
    other = frames("once/order/backwards/0000.mp4").astype(int)
    assert np.abs(one[::-1] - other).mean() < 4


def test_one_source_is_not_enough(made: ModuleType, tmp_path: Path) -> None:
    write_video(tmp_path / "only.mp4", np.stack([texture(60, 80)] * 2))
    with pytest.raises(DatasetError, match="1 sources, expected 2 or more"):
        list(made.pictures(tmp_path, {1: 1, 2: 2}, 0))
