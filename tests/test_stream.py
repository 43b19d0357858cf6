"""One stream: the ResNet of Table 1, its input, its size, and its pools."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.errors import UsageError
from stresnet.model import Stream, inflate_from

SIZE = 64  # pixels; conv5 is 2x2


def stream(**arguments: object) -> Stream:
    torch.manual_seed(0)
    options = {"mean": (124.0, 117.0, 104.0), "input_size": SIZE} | arguments
    return Stream(3, 4, "tiny", **options).eval()  # type: ignore[arg-type]


def clip(chunks: int = 3, height: int = SIZE, width: int = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (2, chunks, 3, height, width)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_logits_of_each_chunk() -> None:
    assert stream()(clip()).shape == (2, 3, 4)


def test_bytes_and_floats_are_the_same_input() -> None:
    net = stream()
    torch.testing.assert_close(net(clip()), net(clip().double()))


@pytest.mark.parametrize("mean", [(1.0, 2.0), ([], [], []), ("1", "2", "3"), np.ones(2)])
def test_means_are_numbers(mean: object) -> None:
    with pytest.raises(UsageError, match="one number, or 3"):
        stream(mean=mean)


def test_the_network_subtracts_the_mean() -> None:
    mean = (124.0, 117.0, 104.0)
    prepared = clip() - torch.tensor(mean).view(3, 1, 1)
    torch.testing.assert_close(stream(mean=mean)(clip()), stream(mean=0.0)(prepared))


def test_it_is_the_paper_s_chain_of_layers() -> None:
    """conv1, f, pool1, then units of Eq. 1 with f between them, pool5 and the classifier."""
    net = stream(mean=0.0, temporal_convolutions=False).double()
    x = clip().flatten(0, 1).double()
    x = F.max_pool2d(F.relu(net.bn1(net.conv1(x))), 3, stride=2, ceil_mode=True)
    for stage in net.stages:
        for unit in stage:
            x = F.relu(unit(x, 3))
    expected = net.classifier(F.avg_pool2d(x, 2).flatten(1)).view(2, 3, 4)
    torch.testing.assert_close(net(clip()), expected)


def test_chunks_are_independent_without_temporal_convolutions() -> None:
    net, x = stream(temporal_convolutions=False), clip()
    torch.testing.assert_close(net(x)[:, 1:2], net(x[:, 1:2]))


def test_an_inflated_stream_sees_a_static_clip_as_the_flat_one() -> None:
    """Section 3.3: away from the clip's ends; 17 chunks are seen, so 8 at each end may differ."""
    flat, inflated = stream(temporal_convolutions=False).double(), stream().double()
    inflate_from(inflated, flat.state_dict())
    static = clip(1)[:1].expand(-1, 19, -1, -1, -1)
    scores = inflated(static)
    torch.testing.assert_close(scores[:, 8:-8], flat(static)[:, 8:-8])
    assert not torch.allclose(scores[:, 0], flat(static)[:, 0])


@pytest.mark.parametrize("stride_in", ["1x1", "3x3"])
@pytest.mark.parametrize("side", [32, 64, 75, 97, 100, 112, 113])
def test_the_predicted_size_of_conv5(stride_in: str, side: int) -> None:
    net = stream(stride_in=stride_in, input_size=32)
    sizes: list[int] = []
    net.conv5_x[1].register_forward_hook(lambda _, __, y: sizes.append(y.shape[-1]))
    net(clip(1, height=64, width=side))
    assert sizes == [net.conv5_side(side)]


def test_the_paper_s_sizes() -> None:
    with torch.device("meta"):
        net = Stream(3, 101, mean=0.0)
        conv5 = torch.empty(25, 2048, net.conv5_side(256), net.conv5_side(340))
    assert net.pool5_window == 7
    assert conv5.shape[2:] == (8, 11)
    assert F.avg_pool2d(conv5, net.pool5_window, stride=1).shape[2:] == (2, 5)
    assert [net.conv5_side(side) for side in (224, 112)] == [7, 4]


def test_larger_frames_are_the_mean_over_all_windows() -> None:
    net = stream(temporal_convolutions=False)
    maps: list[Tensor] = []
    net.conv5_x[1].register_forward_hook(lambda _, __, y: maps.append(F.relu(y)))
    scores = net(clip(1, height=96, width=128))  # conv5 is 3x4: 2x3 windows of 2x2
    windows = [
        net.classifier(maps[0][:, :, top : top + 2, left : left + 2].mean((2, 3)))
        for top in range(2)
        for left in range(3)
    ]
    torch.testing.assert_close(scores[:, 0], torch.stack(windows).mean(0))


@pytest.mark.parametrize(("chunks", "pooled"), [(5, 1), (11, 4), (25, 11)])
@pytest.mark.parametrize("place", ["pool5", "conv5"])
def test_the_temporal_pool_gives(place: str, chunks: int, pooled: int) -> None:
    net = stream(temporal_pool=place, input_size=32)
    assert net(clip(chunks, 32, 32)).shape == (2, pooled, 4)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("place", ["pool5", "conv5"])
def test_where_and_how_time_is_pooled(place: str, kind: str) -> None:
    net = stream(temporal_pool=place, temporal_pool_kind=kind)
    maps: list[Tensor] = []
    net.conv5_x[1].register_forward_hook(lambda _, __, y: maps.append(F.relu(y)))
    scores = net(clip(7))
    x = maps[0].view(2, 7, -1, 2, 2)
    if place == "pool5":
        x = x.mean((3, 4), keepdim=True)
    windows = [x[:, 0:5], x[:, 2:7]]
    pooled = [w.amax(1) if kind == "max" else w.mean(1) for w in windows]
    expected = torch.stack([net.classifier(p.mean((2, 3))) for p in pooled], dim=1)
    torch.testing.assert_close(scores, expected)


def test_max_before_space_is_not_max_after_it() -> None:
    by_place = [stream(temporal_pool=place)(clip(7)) for place in ("pool5", "conv5")]
    assert not torch.allclose(*by_place)


def test_dropout_acts_in_training_only() -> None:
    net = stream(dropout=0.8)
    torch.testing.assert_close(net(clip()), stream()(clip()))
    net.train()
    seen: list[Tensor] = []
    net.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(clip(8))
    assert 0.7 < (seen[0] == 0).float().mean() < 0.9


def test_a_new_classifier_is_small() -> None:
    net = stream()
    assert 0.008 < net.classifier.weight.std() < 0.012
    assert net.classifier.bias.count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_input_is_cast_to_the_weights(dtype: torch.dtype) -> None:
    assert stream().to(dtype)(clip()).dtype == dtype


def test_channels_last_gives_the_same_and_stays_to_the_end() -> None:
    net, x = stream(), clip(5)
    expected = net(x)
    net = net.to(memory_format=torch.channels_last)
    layouts: list[bool] = []
    for stage in net.stages:
        for unit in stage:
            unit.register_forward_hook(
                lambda _, __, y: layouts.append(y.is_contiguous(memory_format=torch.channels_last))
            )
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)
    assert layouts == [True] * 8


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 64, 64), r"expected \(videos, chunks, 3"),
        ((2, 3, 20, 64, 64), r"expected \(videos, chunks, 3"),
        ((0, 3, 3, 64, 64), r"\(0, 3, 3, 64, 64\)"),
        ((2, 5, 3, 33, 64), "33x64 px give a conv5 map of 1x2, expected .* 2x2"),
        ((2, 5, 3, 1, 1), "1x1 px"),
        ((2, 4, 3, 64, 64), "4 chunks per video, the temporal pool needs at least 5"),
    ],
)
def test_refuses_input_it_cannot_use(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stream(temporal_pool="pool5")(torch.zeros(shape))


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": 0},
        {"depth": 34},
        {"temporal_pool": "pool1"},
        {"temporal_pool_kind": "sum"},
        {"stride_in": "5x5"},
        {"input_size": 31},
        {"dropout": 1.0},
        {"mean": (1.0, 2.0)},
    ],
)
def test_refuses_arguments_it_does_not_know(arguments: dict[str, object]) -> None:
    (name,) = arguments
    with pytest.raises(UsageError, match=f"{name} is .*, expected"):
        Stream(**({"in_channels": 3, "num_classes": 2, "depth": "tiny", "mean": 0.0} | arguments))
