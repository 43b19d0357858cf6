"""Table 1's receptive fields, read off the network and seen in its gradients; parameter counts."""

import pytest
import torch

from stresnet.model import Stream, STResNet, count_parameters, receptive_fields
from stresnet.model.stream import Depth

LAYERS = ["conv1", "pool1", "conv2_x", "conv3_x", "conv4_x", "conv5_x", "pool5"]


def on_paper(depth: Depth = 50, **arguments: object) -> STResNet:
    with torch.device("meta"):
        return STResNet(101, depth, **arguments)  # type: ignore[arg-type]


def test_table_1() -> None:
    fields = receptive_fields(on_paper())
    assert list(fields) == LAYERS
    assert [field.pixels for field in fields.values()] == [7, 11, 35, 99, 291, 483, 675]
    assert [field.chunks for field in fields.values()] == [1, 1, 5, 9, 13, 17, 17]


def test_stride_in_the_3x3_is_not_table_1() -> None:
    fields = receptive_fields(on_paper(stride_in="3x3"))
    assert [fields[f"conv{n}_x"].pixels for n in (2, 3, 4, 5)] == [35, 91, 267, 427]


@pytest.mark.parametrize("place", ["pool5", "conv5"])
def test_the_temporal_pool_sees_21_chunks(place: str) -> None:
    fields = receptive_fields(on_paper(temporal_pool=place))
    assert max(field.chunks for field in fields.values()) == 21
    assert (fields["temporal_pool"].pixels == 675) == (place == "pool5")


def test_a_flat_network_sees_one_chunk() -> None:
    fields = receptive_fields(on_paper(temporal_convolutions=False).motion)
    assert {field.chunks for field in fields.values()} == {1}


def test_the_gradient_reaches_17_chunks_and_no_more() -> None:
    net = Stream(3, 2, "tiny", mean=0.0, input_size=32).eval()
    x = torch.rand(1, 21, 3, 32, 32, requires_grad=True)
    net(x)[0, 10].sum().backward()
    reached = x.grad.abs().sum((0, 2, 3, 4)).nonzero().flatten().tolist()
    assert reached == list(range(2, 19))


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({}, 58_624_394),  # UCF101
        ({"temporal_convolutions": False}, 58_624_394 - 2 * 5_570_560),
        ({"motion_residual": None, "temporal_pool": "pool5"}, 58_624_394),
    ],
)
def test_parameters(arguments: dict[str, object], parameters: int) -> None:
    assert count_parameters(on_paper(**arguments)) == parameters


def test_parameters_of_a_base_stream() -> None:
    """ResNet-50 with 101 classes; 17 more input channels of 7x7x64 in the motion stream."""
    net = on_paper(temporal_convolutions=False)
    assert count_parameters(net.appearance) == 23_714_981
    assert count_parameters(net.motion) == 23_714_981 + 53_312


@pytest.mark.parametrize(("depth", "units"), [(26, 8), (50, 16), (101, 33), (152, 50), ("tiny", 8)])
def test_depth_counts_layers(depth: Depth, units: int) -> None:
    stream = on_paper(depth).appearance
    assert sum(len(stage) for stage in stream.stages) == units
    if depth != "tiny":
        assert 3 * units + 2 == depth
