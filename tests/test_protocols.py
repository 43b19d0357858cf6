"""What the network sees of a video when it is tested, and how its scores are averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from memory_video import InMemoryVideo
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import (
    CENTRE_CROP,
    PAPER,
    RELEASED_CODE,
    TEN_CROP,
    Protocol,
    protocol_of,
    views,
)
from stresnet.model import STResNet
from tiny_data import toy_video

SIZE = 32  # of the toy network's input; frames are then tested with a short side of 37 px


@pytest.fixture
def video() -> InMemoryVideo:
    clip, flow = toy_video("rises", seed=1)
    return InMemoryVideo(clip.frames, flow)


@pytest.fixture
def net() -> STResNet:
    torch.manual_seed(0)
    built = STResNet(2, "tiny", input_size=SIZE, motion_dropout=0.5, appearance_dropout=0.5)
    torch.nn.init.normal_(built.appearance.classifier.weight)
    torch.nn.init.normal_(built.motion.classifier.weight)
    return built.eval()


def still_video(height: int, width: int) -> InMemoryVideo:
    frames = np.full((12, height, width, 3), 90, np.uint8)
    return InMemoryVideo(frames, np.full((11, 2, height, width), 128, np.uint8))


def test_the_paper_sees_whole_frames_and_their_mirror_images(video: InMemoryVideo) -> None:
    seen, mirrored = views(video, PAPER, size=SIZE)
    assert seen.rgb.shape == (25, 3, 37, 37)
    assert seen.flow.shape == (25, 20, 37, 37)
    assert torch.equal(mirrored.rgb, seen.rgb.flip(-1))


def test_ten_crops_are_the_corners_the_centre_and_their_mirror_images(video: InMemoryVideo) -> None:
    (whole, _), crops = views(video, PAPER, size=SIZE), list(views(video, TEN_CROP, size=SIZE))
    places = [(0, 0), (0, 5), (5, 0), (5, 5), (2, 2)]
    assert len(crops) == 10
    for crop, (top, left) in zip(crops[::2], places, strict=True):
        cut = (..., slice(top, top + SIZE), slice(left, left + SIZE))
        assert torch.equal(crop.rgb, whole.rgb[cut])
        assert torch.equal(crop.flow, whole.flow[cut])
    for crop, mirrored in zip(crops[::2], crops[1::2], strict=True):
        assert torch.equal(mirrored.rgb, crop.rgb.flip(-1))


def test_a_centre_crop_is_one_plain_forward(video: InMemoryVideo, net: STResNet) -> None:
    (centre,) = views(video, CENTRE_CROP, size=SIZE)
    assert centre.rgb.shape == (25, 3, SIZE, SIZE)
    with torch.inference_mode():
        appearance, motion = net(centre.rgb[None], centre.flow[None])
    scores = score_video(net, video, protocol=CENTRE_CROP)
    np.testing.assert_allclose(scores.appearance, appearance.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(scores.motion, motion.mean((0, 1)), rtol=1e-5)


def test_the_released_code_squeezes_long_sides_and_mirrors_with_a_bias() -> None:
    wide = still_video(32, 96)
    assert [view.rgb.shape[2:] for view in views(wide, PAPER, size=SIZE)] == [(37, 111)] * 2
    seen, mirrored = views(wide, RELEASED_CODE, size=SIZE)
    assert seen.rgb.shape[2:] == mirrored.rgb.shape[2:] == (37, 64)
    assert (seen.flow == 128).all()
    assert (mirrored.flow[:, 0::2] == 127).all()
    assert (mirrored.flow[:, 1::2] == 128).all()


@pytest.mark.parametrize("protocol", [PAPER, TEN_CROP, RELEASED_CODE, replace(PAPER, chunks=6)])
def test_scores_are_the_mean_over_space_time_views_and_streams(
    protocol: Protocol, video: InMemoryVideo, net: STResNet
) -> None:
    with torch.inference_mode():
        by_hand = torch.stack(
            [
                torch.stack(net(view.rgb[None], view.flow[None])).mean((0, 1, 2))
                for view in views(video, protocol, size=SIZE)
            ]
        ).mean(0)
    np.testing.assert_allclose(
        score_video(net, video, protocol=protocol).fused, by_hand, rtol=1e-4, atol=1e-5
    )


def test_a_network_in_training_is_tested_as_it_will_be_and_trains_on(
    video: InMemoryVideo, net: STResNet
) -> None:
    """Validation during training is the same path as evaluation."""
    expected = score_video(net, video)
    net.train()
    net.appearance.eval()
    before = [module.training for module in net.modules()]
    moments = net.motion.bn1.running_mean.clone()
    scores = score_video(net, video)
    np.testing.assert_array_equal(scores.fused, expected.fused)
    assert [module.training for module in net.modules()] == before
    assert torch.equal(net.motion.bn1.running_mean, moments)


def test_one_frame_is_enough(net: STResNet) -> None:
    still = InMemoryVideo(np.zeros((1, 40, 40, 3), np.uint8), np.zeros((0, 2, 40, 40), np.uint8))
    assert np.isfinite(score_video(net, still).fused).all()


def test_a_pool_over_time_needs_five_chunks(video: InMemoryVideo) -> None:
    net = STResNet(2, "tiny", input_size=SIZE, temporal_pool="pool5").eval()
    with pytest.raises(UsageError, match="3 chunks"):
        score_video(net, video, protocol=replace(PAPER, chunks=3))


def test_protocols_have_names() -> None:
    assert (protocol_of("ten-crop"), protocol_of(PAPER)) == (TEN_CROP, PAPER)
    with pytest.raises(UsageError, match=r"'papper'.*centre-crop"):
        protocol_of("papper")
