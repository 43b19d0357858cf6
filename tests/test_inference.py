"""The frozen network gives the scores of the network it was made of."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memory_video import InMemoryVideo
from stresnet import memory
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import CENTRE_CROP
from stresnet.inference import InferenceNetwork, convolution, frozen
from stresnet.inference.convolution import Convolution, folded
from stresnet.inference.graph import Recorder
from stresnet.model import STResNet, SubBatchNorm
from stresnet.model.motion_residual import MotionConnection
from stresnet.model.temporal_convolution import TemporalConvolution
from tiny_data import toy_video

VARIANTS: list[dict[str, Any]] = [
    {},
    {"temporal_pool": "pool5"},
    {"temporal_pool": "conv5", "stride_in": "3x3"},
    {"motion_residual": None, "temporal_convolutions": False, "flow_mean": 127.5},
    {"motion_residual": "bidirectional"},
    {"motion_residual": "direct"},
    {"motion_residual": "multiplicative", "residual_scale": "stage"},
    {"motion_residual": "bidirectional", "residual_scale": "channel"},
]
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}  # of the greatest logit


@pytest.fixture(params=[True, False], ids=["oneDNN", "plain torch"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch's fused operators, and without."""
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


def trained_looking(**variant: Any) -> STResNet:
    """Moments, factors and offsets as no fresh network has them."""
    torch.manual_seed(0)
    net = STResNet(3, "tiny", input_size=32, appearance_dropout=0.5, **variant)
    for module in net.modules():
        if isinstance(module, SubBatchNorm):
            shake(module)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
        elif isinstance(module, MotionConnection) and module.scale is not None:
            nn.init.uniform_(module.scale)
    return net.eval()


@torch.no_grad()
def shake(norm: SubBatchNorm) -> None:
    norm.weight.uniform_(0.2, 0.6)
    norm.bias.normal_()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)


def chunks(videos: int = 2, count: int = 7, height: int = 40, width: int = 48) -> list[Tensor]:
    size = (height, width)
    return [torch.randint(0, 256, (videos, count, c, *size), dtype=torch.uint8) for c in (3, 20)]


def difference(got: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """Greatest, relative to the greatest logit of its stream."""
    pairs = zip(got, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_equals_the_network(variant: dict[str, Any], precision: str) -> None:
    net, inputs = trained_looking(**variant), chunks()
    with torch.inference_mode():
        expected = net(*inputs)
    scores = InferenceNetwork(net, precision=precision)(*inputs)
    assert all(logits.dtype == torch.float32 for logits in scores)
    assert difference(scores, expected) < TOLERANCE[precision]


@pytest.mark.usefixtures("either_way")
def test_floats_are_seen_as_bytes_are() -> None:
    fast, inputs = InferenceNetwork(trained_looking()), chunks()
    kept = [part.float() for part in inputs]
    assert difference(fast(*kept), fast(*inputs)) < 1e-5
    for part, original in zip(kept, inputs, strict=True):
        assert torch.equal(part, original.float())


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (3, 4)])
@pytest.mark.parametrize("temporal", [False, True])
def test_a_sum_and_f_join_a_convolution_in_any_shape(temporal: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = TemporalConvolution(4, 6) if temporal else nn.Conv2d(4, 6, 1, bias=False)
    norm = SubBatchNorm(6).eval()
    shake(norm)
    x, total = torch.randn(6, 4, *size), torch.randn(6, 6, *size)
    with torch.inference_mode():
        y = norm(conv(x, 3) if temporal else conv(x))
        joined = Convolution(conv, norm, torch.float32, relu=True)
        torch.testing.assert_close(joined(x, 3), y.relu())
        torch.testing.assert_close(joined.added_to(total.clone(), x, 3), (total + y).relu())


def test_a_folded_filter_is_the_filter_and_its_batch_norm() -> None:
    norm = SubBatchNorm(5).eval()
    shake(norm)
    x, weight = torch.randn(2, 3, 6, 6), torch.randn(5, 3, 3, 3)
    with torch.inference_mode():
        expected = norm(nn.functional.conv2d(x, weight))
        torch.testing.assert_close(nn.functional.conv2d(x, *folded(weight, norm)), expected)


def test_a_frozen_network_stays_when_its_network_trains_on() -> None:
    net, inputs = trained_looking().train(), chunks()
    fast = InferenceNetwork(net)
    before = fast(*inputs)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.mul_(2)
    for got, expected in zip(fast(*inputs), before, strict=True):
        assert torch.equal(got, expected)
    assert net.training and net.motion.training


def test_it_is_frozen_once_until_a_weight_changes() -> None:
    net = trained_looking()
    first = frozen(net)
    assert frozen(net) is first
    assert frozen(net, precision="bf16") is not first
    for change in (
        lambda: nn.init.normal_(net.appearance.classifier.weight),
        lambda: shake(net.motion.bn1),
        lambda: net.load_state_dict(trained_looking().state_dict()),
    ):
        before = frozen(net)
        change()
        assert frozen(net) is not before


def test_a_frozen_network_has_the_names_that_its_network_has_now() -> None:
    net = trained_looking()
    for attribute, value in {"class_names": ("a", "b", "c"), "preparation": {"fps": 25}}.items():
        before = frozen(net)
        setattr(net, attribute, value)
        assert getattr(frozen(net), attribute) == value
        assert getattr(before, attribute) != value


def test_a_frozen_network_keeps_no_other_weights_alive() -> None:
    """Neither does the cache keep a network whose user is done with it."""
    net = trained_looking()
    fast = frozen(net)
    weights = [weakref.ref(tensor) for tensor in net.parameters()]
    del net
    gc.collect()
    assert not any(reference() is not None for reference in weights)
    assert fast(*chunks())[0].shape == (2, 7, 3)


class Graph(TorchDispatchMode):
    """A CUDA graph without CUDA: computes all that was recorded again, into the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        for func, args, kwargs, found in self.calls:
            for kept, new in zip(
                tree_leaves(found), tree_leaves(func(*args, **kwargs)), strict=True
            ):
                if kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)


def test_a_graph_gives_what_the_network_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Graph] = []

    def graph() -> Graph:
        graphs.append(Graph())
        return graphs[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda made: made)
    plain = InferenceNetwork(trained_looking())
    fast = InferenceNetwork(trained_looking())
    fast._recorder = Recorder()
    given = [chunks(count=count) for count in (7, 7, 7, 8, 7, 7)]
    found = [fast(*inputs) for inputs in given]
    for inputs, logits in zip(given, found, strict=True):  # no call has overwritten one before
        for got, expected in zip(logits, plain(*inputs), strict=True):
            assert torch.equal(got, expected)
    assert len(graphs) == 2  # of the second call and of the last, which are like those before them


class OneDevice(TorchDispatchMode):
    """Fail an operator whose tensors are not all on one device, as a GPU does."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for each in tree_leaves((args, kwargs)):
            assert not isinstance(each, Tensor) or each.device == self.device, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_tensor_is_on_the_device(variant: dict[str, Any], precision: str) -> None:
    """On a device without memory, which takes the same way as a GPU."""
    net = trained_looking(**variant).to("meta")
    fast = InferenceNetwork(net, precision=precision)
    assert (fast.device, fast.precision) == (net.device, precision)
    inputs = [part.to("meta") for part in chunks()]
    with OneDevice("meta"):
        logits = fast(*inputs)
    assert [(each.device, each.dtype) for each in logits] == [(net.device, torch.float32)] * 2
    with torch.inference_mode():
        assert [each.shape for each in logits] == [each.shape for each in net(*inputs)]
    with OneDevice("meta"), pytest.raises(AssertionError):
        fast(*chunks())
    unit = fast.motion.stages[2][1]
    unit._conv3.filter = unit._conv3.filter._replace(
        bias=unit._conv3.filter.bias.new_zeros(0, device="cpu")
    )
    with OneDevice("meta"), pytest.raises(AssertionError):
        fast(*inputs)


def test_a_video_goes_to_the_network_s_device() -> None:
    clip, flow = toy_video("rises", seed=1)
    net, video = trained_looking().to("meta"), InMemoryVideo(clip.frames, flow)
    with pytest.raises(NotImplementedError, match="out of meta"):  # only scores are fetched
        score_video(net, video, protocol=CENTRE_CROP)


def raising(*_: object) -> Tensor:
    raise RuntimeError("missing value for argument 'algorithm'")


@pytest.mark.parametrize("name", ["fused", "fused_onto"])
@pytest.mark.parametrize("other", [raising, lambda *inputs: convolution.plain(*inputs[-2:]) + 1])
def test_fused_operators_that_changed_are_not_used(
    name: str, other: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are private: another version of torch may have others under their names, or none."""
    convolution.fused_operators_work.cache_clear()
    monkeypatch.setattr(convolution, name, other)
    net, inputs = trained_looking(), chunks(count=5)
    with torch.inference_mode():
        expected = net(*inputs)
    try:
        scores = InferenceNetwork(net, precision="fp32")(*inputs)
    finally:
        convolution.fused_operators_work.cache_clear()
    assert difference(scores, expected) < TOLERANCE["fp32"]


def test_scoring_leaves_the_process_s_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the command line and the server's worker change how malloc works."""
    memory.keep_memory.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("malloc was changed"))
    clip, flow = toy_video("rises", seed=1)
    score_video(trained_looking(), InMemoryVideo(clip.frames, flow), protocol=CENTRE_CROP)


def test_an_optimiser_step_changes_a_video_s_score() -> None:
    clip, flow = toy_video("rises", seed=1)
    net, video = trained_looking(), InMemoryVideo(clip.frames, flow)
    before = score_video(net, video, protocol=CENTRE_CROP)
    np.testing.assert_array_equal(score_video(net, video, protocol=CENTRE_CROP).fused, before.fused)
    sum(logits.sum() for logits in net(*chunks())).backward()  # type: ignore[union-attr]
    torch.optim.SGD(net.parameters(), lr=1e-2).step()
    assert (score_video(net, video, protocol=CENTRE_CROP).fused != before.fused).all()


def test_errors_are_the_network_s() -> None:
    fast = InferenceNetwork(trained_looking(temporal_pool="pool5"))
    rgb, flow = chunks(count=4)
    with pytest.raises(UsageError, match="4 chunks"):
        fast(rgb, flow)
    with pytest.raises(UsageError, match="same videos"):
        fast(rgb[:1], flow)
    with pytest.raises(UsageError, match="expected"):
        fast(flow, flow)
