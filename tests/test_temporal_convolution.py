"""Eq. 5: temporal filters made of 1x1 filters."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.model import STResNet
from stresnet.model.temporal_convolution import TemporalConvolution, inflate

CHUNKS = 4


def inflated(pointwise: Tensor) -> TemporalConvolution:
    conv = TemporalConvolution(pointwise.shape[1], pointwise.shape[0]).double()
    conv.load_state_dict({"weight": inflate(pointwise)})
    return conv


def static_clips(videos: int = 2) -> Tensor:
    """(B*T, 3, 5, 6): every chunk of a video is the same."""
    return torch.randn(videos, 1, 3, 5, 6).double().expand(-1, CHUNKS, -1, -1, -1).flatten(0, 1)


def test_three_thirds_of_the_pointwise_filter() -> None:
    pointwise = torch.randn(4, 3, 1, 1)
    for tap in inflate(pointwise).unbind(2):
        torch.testing.assert_close(tap, pointwise[:, :, 0, 0] / 3)


def test_the_identity_answers_as_its_pointwise_filter_on_any_clip() -> None:
    conv, pointwise = TemporalConvolution(3, 4), torch.randn(4, 3, 1, 1)
    conv.load_state_dict({"weight": inflate(pointwise, "identity")})
    x = torch.randn(2 * CHUNKS, 3, 5, 6)
    torch.testing.assert_close(conv(x, CHUNKS), F.conv2d(x, pointwise))


def test_a_static_clip_answers_as_in_two_dimensions() -> None:
    pointwise, x = torch.randn(4, 3, 1, 1).double(), static_clips()
    y = inflated(pointwise)(x, CHUNKS).view(2, CHUNKS, 4, 5, 6)
    flat = F.conv2d(x, pointwise).view_as(y)
    torch.testing.assert_close(y[:, 1:-1], flat[:, 1:-1])
    torch.testing.assert_close(y[:, [0, -1]], flat[:, [0, -1]] * 2 / 3)  # zeros beyond the clip


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_a_three_dimensional_convolution(layout: torch.memory_format) -> None:
    conv = TemporalConvolution(3, 4).double()
    x = torch.randn(2 * CHUNKS, 3, 5, 6).double()
    clip = x.view(2, CHUNKS, 3, 5, 6).transpose(1, 2)
    expected = F.conv3d(clip, conv.weight[..., None, None], padding=(1, 0, 0))
    y = conv(x.contiguous(memory_format=layout), CHUNKS)
    torch.testing.assert_close(y, expected.transpose(1, 2).flatten(0, 1))
    assert y.is_contiguous(memory_format=layout)


def test_a_chunk_reaches_its_neighbours_and_no_other_video() -> None:
    conv = TemporalConvolution(1, 1)
    x = torch.zeros(2 * CHUNKS, 1, 1, 1)
    x[CHUNKS] = 1  # the first chunk of the second video
    reached = conv(x, CHUNKS).flatten().nonzero().flatten()
    assert reached.tolist() == [CHUNKS, CHUNKS + 1]


def test_gradients_are_exact() -> None:
    conv = TemporalConvolution(2, 3).double()
    x = torch.randn(2 * 3, 2, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: conv(x, 3), (x,))


def test_sixteen_temporal_convolutions_in_the_second_units() -> None:
    with torch.device("meta"):
        net = STResNet(101)
    temporal = [name for name, m in net.named_modules() if isinstance(m, TemporalConvolution)]
    assert temporal == [
        f"{stream}.conv{stage}_x.1.{conv}"
        for stream in ("appearance", "motion")
        for stage in (2, 3, 4, 5)
        for conv in ("conv1", "conv3")
    ]
