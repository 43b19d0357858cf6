"""The whole network of section 3."""

import pytest
import torch
from torch import Tensor

from stresnet.errors import UsageError
from stresnet.model import Stream, STResNet, inflate_from
from stresnet.model.temporal_convolution import TemporalConvolution


def tiny(**arguments: object) -> STResNet:
    torch.manual_seed(0)
    return STResNet(4, "tiny", **({"input_size": 32} | arguments)).eval()  # type: ignore[arg-type]


def clip(chunks: int = 2, height: int = 32, width: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    size = (2, chunks, 23, height, width)
    both = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
    return both[:, :, :3], both[:, :, 3:]


def test_logits_of_each_stream_and_chunk() -> None:
    for logits in tiny()(*clip()):
        assert logits.shape == (2, 2, 4)


@pytest.mark.parametrize(("chunks", "pooled"), [(11, 4), (25, 11)])
def test_st_resnet_star_pools_time(chunks: int, pooled: int) -> None:
    for logits in tiny(temporal_pool="pool5")(*clip(chunks)):
        assert logits.shape == (2, pooled, 4)


def test_its_motion_stream_is_a_stream() -> None:
    net = tiny()
    rgb, flow = clip()
    torch.testing.assert_close(net(rgb, flow)[1], net.motion(flow))


def test_a_fully_convolutional_score_of_a_crop_is_the_plain_forward() -> None:
    """One 3x3 window over conv5's 3x3 map, or the mean over 3x3 windows of one place each."""
    plain, fully_convolutional = tiny(input_size=96), tiny(input_size=32)
    fully_convolutional.load_state_dict(plain.state_dict())
    crop = clip(height=96, width=96)
    torch.testing.assert_close(fully_convolutional(*crop), plain(*crop))


def test_a_static_clip_away_from_its_ends_is_two_dimensional() -> None:
    flat, inflated = tiny(temporal_convolutions=False).double(), tiny().double()
    inflate_from(inflated, flat.state_dict())
    rgb, flow = (x.expand(-1, 19, -1, -1, -1) for x in clip(1))
    for flat_logits, logits in zip(flat(rgb, flow), inflated(rgb, flow), strict=True):
        torch.testing.assert_close(logits[:, 8:-8], flat_logits[:, 8:-8])


def test_the_order_of_chunks_counts_once_temporal_filters_are_not_symmetric() -> None:
    net = tiny()
    rgb, flow = clip(3)

    def change_by_reversal() -> float:
        forwards, backwards = net(rgb, flow)[0], net(rgb.flip(1), flow.flip(1))[0].flip(1)
        return ((forwards - backwards).norm() / forwards.norm()).item()

    assert change_by_reversal() < 1e-4  # inflated filters (Eq. 5) see no difference
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, TemporalConvolution):
                module.weight *= torch.tensor([1.5, 1.0, 0.5])
    assert change_by_reversal() > 1e-2


def test_videos_of_a_batch_are_independent() -> None:
    net = tiny()
    rgb, flow = clip()
    together, alone = net(rgb, flow)[0][1:], net(rgb[1:], flow[1:])[0]
    # Another batch size is summed in another order, so equal to a few times float32's precision.
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_its_config_rebuilds_it() -> None:
    net = tiny(
        temporal_pool="conv5",
        temporal_pool_kind="average",
        stride_in="3x3",
        motion_residual="bidirectional",
        temporal_convolutions=False,
        input_size=40,
        rgb_mean=(1.0, 2.0, 3.0),
        flow_mean=7.0,
        appearance_dropout=0.1,
        motion_dropout=0.2,
    )
    again = STResNet(**net.config).eval()
    assert again.config == net.config
    again.load_state_dict(net.state_dict())
    rgb, flow = clip(5, 64, 64)
    torch.testing.assert_close(again(rgb, flow), net(rgb, flow))
    assert [module.dropout.p for module in (again.appearance, again.motion)] == [0.1, 0.2]


def test_flow_of_no_motion_is_zero_to_the_network() -> None:
    net = tiny()
    rgb, flow = clip()
    seen: list[Tensor] = []
    net.motion.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(rgb, torch.full_like(flow, 128))
    assert seen[0].count_nonzero() == 0


def test_streams_must_show_the_same_chunks() -> None:
    rgb, flow = clip(3)
    with pytest.raises(UsageError, match="same videos, chunks, height and width"):
        tiny()(rgb, flow[:, :2])
    with pytest.raises(UsageError, match=r"expected \(videos, chunks, 20, height, width\)"):
        tiny()(rgb, flow[:, :, :10])


def test_it_exports_and_the_export_is_equal() -> None:
    net, inputs = tiny(temporal_pool="conv5"), clip(5)
    exported = torch.export.export(net, inputs).module()
    torch.testing.assert_close(exported(*inputs), net(*inputs))


def test_a_training_step_lowers_the_loss_of_both_streams() -> None:
    net = tiny().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    truth = torch.tensor([0, 1]).repeat_interleave(2)
    losses = []
    for _ in range(4):
        logits = [stream.flatten(0, 1) for stream in net(*clip())]
        loss = sum(torch.nn.functional.cross_entropy(stream, truth) for stream in logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_both_attributes_are_streams() -> None:
    net = tiny()
    assert isinstance(net.appearance, Stream)
    assert isinstance(net.motion, Stream)
    assert (net.appearance.conv1.in_channels, net.motion.conv1.in_channels) == (3, 20)
