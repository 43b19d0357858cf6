"""Laws of TV-L1 flow, on synthetic scenes whose motion is known exactly."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from itertools import islice

import cv2
import numpy as np
import pytest
import torch

from stresnet.data.video.decode import iter_frames
from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, grey, tv_l1
from stresnet.flow.numba_median import median_filter
from stresnet.flow.pyramid import level_sizes, linear_taps
from stresnet.flow.simd import whole_lanes
from stresnet.flow.torch_kernel import flow_on_device

HEIGHT, WIDTH = 96, 128
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)


def torch_tv_l1(frames, *, parameters=AUTHORS):
    """The GPU's kernel, on the processor."""
    return flow_on_device(np.ascontiguousarray(frames), parameters, torch.device("cpu"))


def texture(x, y, seed=0):
    """A smooth texture, 0 to 255, defined at every real position."""
    rng = np.random.default_rng(seed)
    waves = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
    for _ in range(40):
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(6, 30)
        phase = rng.uniform(0, 2 * np.pi)
        waves += np.sin(2 * np.pi / length * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return np.clip(np.rint(127.5 + 18 * waves), 0, 255).astype(np.uint8)


def moved(dx, dy, height=HEIGHT, width=WIDTH):
    """Two frames; what is at x in the first is at x + (dx, dy) in the second."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return np.stack([texture(x, y), texture(x - dx, y - dy)])


def deformed(field):
    """Two frames whose flow is exactly `field`, (2, H, W)."""
    return np.stack([texture(X + field[0], Y + field[1]), texture(X, Y)])


def end_point_error(flow, truth):
    """(..., 2, H, W) twice -> (..., H, W), in pixels."""
    return np.linalg.norm(flow - truth, axis=-3)


def error(flow, truth):
    """Mean end-point error, in pixels."""
    return end_point_error(flow, truth).mean()


def visible(field):
    """(H, W): where `field` does not leave the frame, so that there is a motion to see."""
    x, y = X + field[0], Y + field[1]
    return (x >= 0) & (x <= WIDTH - 1) & (y >= 0) & (y <= HEIGHT - 1)


def opencv(frames, parameters):
    solver = cv2.optflow.DualTVL1OpticalFlow_create(
        medianFiltering=5 if parameters.median_every else 1
    )
    return solver.calc(frames[0], frames[1], None).transpose(2, 0, 1)


ROTATION = np.stack([-(Y - HEIGHT / 2), X - WIDTH / 2]) * 0.03
ZOOM = np.stack([X - WIDTH / 2, Y - HEIGHT / 2]) * 0.04
WAVE = np.stack([2 * np.sin(Y / 12), 1.5 * np.cos(X / 15)])


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
@pytest.mark.parametrize("parameters", [AUTHORS, OPENCV_CPU], ids=["authors", "opencv-cpu"])
@pytest.mark.parametrize("motion", [(3, 0), (0, -2), (0.4, 0.3)])
def test_a_moved_image_flows_by_its_motion(motion, parameters, kernel):
    height, width = (HEIGHT, WIDTH) if kernel is tv_l1 else (48, 56)
    flow = kernel(moved(*motion, height, width), parameters=parameters)[0]
    border = height // 4
    inner = flow[:, border:-border, border:-border]
    assert np.abs(inner - np.reshape(motion, (2, 1, 1))).max() < 0.1


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
@pytest.mark.parametrize("parameters", [AUTHORS, OPENCV_CPU], ids=["authors", "opencv-cpu"])
def test_a_still_scene_has_exactly_no_flow(parameters, kernel):
    frames = moved(0, 0, 40, 50)
    assert not kernel(frames, parameters=parameters).any()


def test_a_mirrored_scene_has_the_mirrored_flow():
    frames = deformed(WAVE)
    flow = tv_l1(frames)[0]
    mirrored = tv_l1(np.ascontiguousarray(frames[:, :, ::-1]))[0][:, :, ::-1]
    difference = end_point_error(mirrored * np.reshape([-1, 1], (2, 1, 1)), flow)
    # Forward differences are not symmetric, so the mirror holds to the solver's tolerance only.
    assert difference[10:-10, 10:-10].mean() < 0.02


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
def test_a_pair_does_not_depend_on_its_company(kernel):
    frames = np.concatenate([moved(1, 0, 40, 50), moved(-2, 1, 40, 50), moved(0, 0, 40, 50)])
    together = kernel(frames)
    alone = np.concatenate([kernel(frames[i : i + 2]) for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=0 if kernel is tv_l1 else 1e-4)


def test_the_result_does_not_depend_on_threads():
    frames = np.concatenate([moved(1, 0), moved(-2, 1), moved(0, 0.5)])
    np.testing.assert_array_equal(tv_l1(frames), tv_l1(frames, threads=4))


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
def test_frames_may_be_a_read_only_view(kernel):
    frames = np.concatenate([moved(1, 0, 40, 50), moved(-2, 1, 40, 50)])
    frames.flags.writeable = False
    view = frames[::-1, 3:-2, ::2].transpose(0, 2, 1)
    whole = np.ascontiguousarray(view).copy()
    np.testing.assert_array_equal(kernel(view), kernel(whole))


@pytest.mark.parametrize("field", [ROTATION, ZOOM, WAVE], ids=["rotation", "zoom", "wave"])
def test_the_cpu_preset_agrees_with_opencv(field):
    frames = deformed(field)
    assert error(tv_l1(frames, parameters=OPENCV_CPU)[0], opencv(frames, OPENCV_CPU)) < 0.05


@pytest.mark.parametrize("motion", [(3, 0), (0, -2), (1.5, 0.7)])
def test_the_cpu_preset_agrees_with_opencv_on_shifts(motion):
    frames = moved(*motion)
    assert error(tv_l1(frames, parameters=OPENCV_CPU)[0], opencv(frames, OPENCV_CPU)) < 0.05


@pytest.mark.parametrize("field", [ROTATION, ZOOM, WAVE], ids=["rotation", "zoom", "wave"])
def test_the_authors_preset_is_as_accurate_as_opencv(field):
    frames = deformed(field)
    ours = end_point_error(tv_l1(frames)[0], field)[visible(field)].mean()
    theirs = end_point_error(opencv(frames, AUTHORS), field)[visible(field)].mean()
    assert ours < theirs + 0.01
    assert ours < 0.12


@pytest.mark.parametrize(
    "parameters",
    [
        AUTHORS,
        OPENCV_CPU,
        replace(AUTHORS, lazy_check=False),
        FAST,
        replace(AUTHORS, median_every=7, iterations=30),
        replace(AUTHORS, scale_step=0.995, scales=2),
        replace(OPENCV_CPU, epsilon=0, iterations=11, median_every=4, scales=2),
    ],
    ids=["authors", "opencv", "eager", "fast", "median", "equal-sizes", "no-epsilon"],
)
def test_the_two_kernels_agree(parameters):
    frames = np.concatenate([moved(2, -1, 64, 72), moved(0.6, 1.3, 64, 72)])
    compiled_flow = tv_l1(frames, parameters=parameters)
    difference = end_point_error(torch_tv_l1(frames, parameters=parameters), compiled_flow)
    # At the border, where motion leaves the frame, the last bits of a sum can decide.
    assert difference[:, 8:-8, 8:-8].mean() < 0.02


@pytest.mark.parametrize("parameters", [AUTHORS, OPENCV_CPU, FAST], ids=["authors", "cv", "fast"])
def test_the_two_kernels_agree_on_real_frames(parameters):
    clips = sorted((files("stresnet") / "assets" / "clips").rglob("*.mp4"))[:2]
    assert clips
    for clip in clips:
        frames = [frame.image for frame in islice(iter_frames(clip, short_side=72), 10, 12)]
        pair = grey(np.stack(frames))
        compiled_flow = tv_l1(pair, parameters=parameters)
        assert error(torch_tv_l1(pair, parameters=parameters), compiled_flow) < 0.02


@pytest.mark.parametrize("field", [ROTATION, ZOOM, WAVE], ids=["rotation", "zoom", "wave"])
def test_the_fast_preset_loses_little(field):
    frames = deformed(field)
    fast = end_point_error(tv_l1(frames, parameters=FAST)[0], field)[visible(field)].mean()
    slow = end_point_error(tv_l1(frames)[0], field)[visible(field)].mean()
    assert fast < slow + 0.05


def test_the_fast_preset_follows_faster_motion_than_the_authors():
    y, x = np.mgrid[:192, :224].astype(np.float64)
    frames = np.stack([texture(x / 3, y / 3), texture((x + 12) / 3, (y - 5) / 3)])
    truth, inner = np.reshape([-12, 5], (2, 1, 1)), np.s_[14:-14, 14:-14]
    fast = end_point_error(tv_l1(frames, parameters=FAST)[0], truth)[inner].mean()
    slow = end_point_error(tv_l1(frames)[0], truth)[inner].mean()
    assert fast < slow / 2


def test_black_beyond_the_border_leaves_the_flow_there_to_the_smoothness():
    hidden = ~visible(ZOOM)
    black = tv_l1(deformed(ZOOM), parameters=replace(AUTHORS, beyond="black"))[0]
    edge = tv_l1(deformed(ZOOM))[0]
    assert end_point_error(black, ZOOM)[hidden].mean() < 0.6
    assert end_point_error(edge, ZOOM)[hidden].mean() > 1


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 3), (15, 40), (17, 16)])
def test_tiny_frames_work(size, kernel):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    for parameters in (AUTHORS, replace(OPENCV_CPU, iterations=31)):
        flow = kernel(frames, parameters=parameters)
        assert flow.shape == (2, 2, *size) and flow.dtype == np.float32
        assert np.isfinite(flow).all()


@pytest.mark.parametrize("kernel", [tv_l1, torch_tv_l1])
def test_one_frame_has_no_flow(kernel):
    flow = kernel(np.zeros((1, 20, 30), np.uint8))
    assert flow.shape == (0, 2, 20, 30) and flow.dtype == np.float32


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 8, 8), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 8), np.uint8),
        np.zeros((2, 0, 8), np.uint8),
    ],
    ids=["float", "one image", "colour", "no frames", "no rows"],
)
def test_unusable_frames_are_refused(frames):
    with pytest.raises(UsageError, match="not uint8 of shape"):
        tv_l1(frames)


def test_frames_may_be_tensors_or_a_list():
    colour = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), np.uint8)
    frames = grey(torch.from_numpy(colour))
    np.testing.assert_array_equal(frames, grey(colour))
    flow = tv_l1(frames, parameters=FAST)
    for given in (torch.from_numpy(frames), list(frames)):
        np.testing.assert_array_equal(tv_l1(given, parameters=FAST), flow)


def test_unusable_arguments_are_refused():
    frames = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(UsageError, match="threads is 0"):
        tv_l1(frames, threads=0)
    with pytest.raises(UsageError, match="device is 'gpu'"):
        tv_l1(frames, device="gpu")
    with pytest.raises(EnvironmentProblem, match="cuda:99"):
        tv_l1(frames, device="cuda:99")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tau": 0.3},
        {"lambda_": 0},
        {"theta": -1},
        {"scales": 0},
        {"scale_step": 1},
        {"warps": 0},
        {"epsilon": -0.1},
        {"iterations": 0},
        {"median_every": -1},
        {"beyond": "wrap"},
        {"cubic": 0.5},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_parameters_outside_their_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TVL1Parameters(**wrong)


def test_the_pyramid_has_opencvs_levels():
    assert level_sizes(256, 340, 5, 0.8) == [
        (256, 340),
        (205, 272),
        (164, 218),
        (131, 174),
        (105, 139),
    ]
    assert level_sizes(19, 100, 5, 0.8) == [(19, 100)]


def test_resizing_is_opencvs():
    row = np.random.default_rng(0).random(50, np.float32)
    before, after, fraction = linear_taps(50, 40, 1.25)
    ours = row[before] + fraction * (row[after] - row[before])
    theirs = cv2.resize(row[None], (40, 1), interpolation=cv2.INTER_LINEAR)[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("size", [(20, 30), (21, 33), (2, 16), (5, 2), (3, 50)])
def test_the_median_filter_is_opencvs(size):
    flow = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    rows = np.zeros((size[0], whole_lanes(size[1] + 1)), np.float32)
    rows[:, : size[1]] = flow
    median_filter(rows, size[1])
    np.testing.assert_array_equal(rows[:, : size[1]], cv2.medianBlur(flow, 5))
    assert not rows[:, size[1] :].any()


def test_grey_is_opencvs():
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    theirs = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    np.testing.assert_array_equal(grey(frames), theirs)
    np.testing.assert_array_equal(grey(frames[:, ::2, ::-1]), theirs[:, ::2, ::-1])
    assert grey(frames[:0]).shape == (0, 64, 64)
    with pytest.raises(UsageError, match="not uint8 of shape"):
        grey(frames[0])
