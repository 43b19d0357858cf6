"""Known damages of flow are recognised; good, still and dark videos pass in silence."""

from __future__ import annotations

import numpy as np
import pytest

from making_stores import moved, moving_store, sharp_texture, without_processes, write_store
from making_videos import Video
from stresnet.data.store.check import check_stores
from stresnet.data.store.flow_check import Evidence, evidence, finding
from stresnet.data.store.format import Origin
from stresnet.data.store.index import find_stores
from stresnet.errors import DatasetError
from stresnet.flow import grey, to_bytes, tv_l1
from stresnet.progress import Progress


def told(tmp_path, change, *, step=(4, 2)) -> str:
    stored = moving_store(tmp_path, "clip.mp4", step=step, frames=9, told=change)
    return finding(evidence(stored))


def scaled(scale: float):
    return lambda flow: flow * np.float32(scale)


def test_a_good_video_passes(tmp_path):
    seen = evidence(moving_store(tmp_path, "clip.mp4", step=(4, 2), frames=9))
    assert len(seen.errors["as stored"]) >= 3  # it is judged, not passed over
    assert finding(seen) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda flow: flow[:, ::-1], "x and y seem to be swapped"),
        (lambda flow: -flow, "backward: it fits when negated"),
        (lambda flow: flow * np.array([-1, 1], np.float32)[:, None, None], "when x is negated"),
        (lambda flow: flow * np.array([1, -1], np.float32)[:, None, None], "when y is negated"),
        (scaled(20 / 10), "taken times 0.5, as if made with a bound of about 10 px"),
        (scaled(20 / 15), "taken times 0.75, as if made with a bound of about 15 px"),
        (scaled(20 / 32), "taken times 1.6, as if made with a bound of about 32 px"),
        (scaled(20 / 40), "taken times 2, as if made with a bound of about 40 px"),
    ],
)
def test_damages_are_named(tmp_path, change, said):
    sentence = told(tmp_path, change)
    assert said in sentence


def test_flow_of_another_video_is_named(tmp_path):
    other = np.array([-6, 3], np.float32)[:, None, None]
    sentence = told(tmp_path, lambda flow: 0 * flow + other, step=(1, 1))
    assert "more alike without the flow" in sentence


@pytest.mark.parametrize(("shift", "said"), [(-1, "frames k-1 and k"), (1, "frames k+1 and k+2")])
def test_flow_of_a_neighbouring_frame_is_named(tmp_path, shift, said):
    """A camera that shakes: the flow changes its direction with every frame."""
    steps = np.array([(4, 0), (0, 4), (-4, 0), (0, -4)] * 3)
    images = moved(np.concatenate([[(0, 0)], np.cumsum(steps, axis=0)]), 64, 80)
    flow = np.broadcast_to(np.roll(steps, shift=-shift, axis=0)[..., None, None], (12, 2, 64, 80))
    video = Video(images, np.arange(13) / 25)
    stored = write_store(
        tmp_path / "a.zip", video, to_bytes(flow.astype(np.float32)), origin=Origin("a", "0" * 64)
    )
    sentence = finding(evidence(stored))
    assert "shifted by a frame" in sentence
    assert said in sentence


def test_min_max_normalised_flow_is_named(tmp_path):
    """Something moves over a still background; each picture is stretched to 0 ... 255."""
    images = np.repeat(sharp_texture(64, 80)[None], 6, axis=0)
    moving = moved(np.outer(range(6), (3, 3)), 24, 24, seed=1)
    images[:, 20:44, 20:44] = moving
    flow = np.zeros((5, 2, 64, 80), np.float32)
    flow[:, :, 20:44, 20:44] = 3
    flow[:, :, 20:24, 20:24] = -1
    low, high = flow.min(axis=(2, 3), keepdims=True), flow.max(axis=(2, 3), keepdims=True)
    video = Video(images, np.arange(6) / 25)
    for name, levels, expected in (
        ("stretched", np.rint(255 * (flow - low) / (high - low)).astype(np.uint8), True),
        ("good", to_bytes(flow), False),
    ):
        origin = Origin(name, "0" * 64)
        stored = write_store(tmp_path / f"{name}.zip", video, levels, origin=origin)
        assert ("min-max normalised" in finding(evidence(stored))) == expected


def test_fast_motion_both_ways_is_not_min_max(tmp_path):
    """Flow may go from 0 to 255 rightly: what stands still is at 128 then."""
    images = np.repeat(sharp_texture(64, 80)[None], 6, axis=0)
    images[:, :8], images[:, -8:] = np.random.default_rng(0).integers(0, 255, (2, 6, 8, 80, 3))
    flow = np.zeros((5, 2, 64, 80), np.float32)
    flow[:, :, :8], flow[:, :, -8:] = -20, 20
    origin = Origin("a", "0" * 64)
    stored = write_store(
        tmp_path / "a.zip", Video(images, np.arange(6) / 25), to_bytes(flow), origin=origin
    )
    seen = evidence(stored)
    assert all(seen.touching)
    assert not any(seen.off_zero)
    assert "min-max" not in finding(seen)


@pytest.mark.parametrize("kind", ["still", "dark", "flickering", "noise"])
def test_videos_without_motion_pass_in_silence(tmp_path, kind):
    """With the flow that TV-L1 makes of them."""
    rng = np.random.default_rng(0)
    images = np.repeat(sharp_texture(64, 80)[None], 6, axis=0)
    if kind == "dark":
        images = rng.integers(0, 6, (6, 64, 80, 3)).astype(np.uint8)
    elif kind == "flickering":
        images = (images * np.linspace(0.6, 1, 6)[:, None, None, None]).astype(np.uint8)
    elif kind == "noise":
        images = np.clip(images + rng.normal(0, 8, images.shape), 0, 255).astype(np.uint8)
    flow = to_bytes(tv_l1(grey(images)))
    video = Video(images, np.arange(6) / 25)
    stored = write_store(tmp_path / "a.zip", video, flow, origin=Origin("a", "0" * 64))
    assert finding(evidence(stored)) == ""


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_very_short_videos_pass_in_silence(tmp_path, frames):
    stored = moving_store(tmp_path, "a.mp4", frames=frames, told=lambda flow: -flow)
    assert finding(evidence(stored)) == ""


def test_each_video_is_judged_alone(tmp_path, monkeypatch):
    without_processes(monkeypatch)
    for seed in range(4):
        change = (lambda flow: -flow) if seed == 2 else (lambda flow: flow)
        moving_store(tmp_path, f"{seed}.mp4", frames=9, seed=seed, told=change)
    (tmp_path / "3.mp4.zip").write_bytes(b"damaged")
    progress: list[Progress] = []
    report = check_stores(find_stores(tmp_path), on_progress=progress.append)
    assert [names for names in report.by_finding.values()] == [("2.mp4",)]
    assert [name for name, _ in report.failures] == ["3.mp4"]
    assert [each.done for each in progress] == [1, 2, 3, 4]
    assert report.videos == 4


@pytest.mark.parametrize(
    ("stored", "negated", "said"),
    [
        ([10.0] * 4, [8.0] * 4, True),
        ([10.0] * 4, [9.0] * 4, False),  # hardly better
        ([10.0] * 3 + [50.0], [10.0] * 3 + [5.0], False),  # better in one field only
        ([10.0] * 2, [1.0] * 2, False),  # too few fields
    ],
)
def test_little_evidence_says_nothing(stored, negated, said):
    seen = Evidence(errors={"as stored": stored, "negated": negated})
    assert (finding(seen) != "") == said


def test_where_there_is_no_texture_nothing_is_said(tmp_path):
    ramp = np.broadcast_to((2 * np.arange(80))[None, None, :, None], (6, 64, 80, 3))
    flow = np.zeros((5, 2, 64, 80), np.float32)
    flow[:, 0] = 5  # wrong, as the ramp stands still
    video = Video(ramp.astype(np.uint8), np.arange(6) / 25)
    stored = write_store(tmp_path / "a.zip", video, to_bytes(flow), origin=Origin("a", "0" * 64))
    assert evidence(stored).errors == {}


def test_the_bound_given_at_import_is_what_is_doubted(tmp_path):
    stored = moving_store(tmp_path, "a.mp4", step=(4, 2), frames=9, told=scaled(20 / 40))
    seen = evidence(stored)
    seen.bound = 32.0
    assert "of about 64 px per frame, not 32" in finding(seen)
    assert finding(Evidence()) == ""


def test_stores_are_found(tmp_path):
    stored = moving_store(tmp_path, "run/a.mp4")
    assert find_stores(tmp_path) == [(stored.path, "run/a.mp4")]
    assert find_stores(stored.path) == [(stored.path, "a.mp4")]
    with pytest.raises(DatasetError, match="no prepared videos"):
        find_stores(tmp_path / "none")
