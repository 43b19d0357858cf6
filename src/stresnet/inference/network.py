"""ST-ResNet as it is tested: the layers of `model.st_resnet`, frozen and fused.

    net = load_model(folder)
    fast = frozen(net)                          # or InferenceNetwork(net, precision="bf16")
    appearance, motion = fast(rgb, flow)        # as net(rgb, flow) in eval mode

Speed and exactness: docs/inference.md.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeAlias, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.device import Precision, resolve_precision
from stresnet.inference.convolution import Convolution
from stresnet.inference.graph import Recorder
from stresnet.model import Stream, STResNet
from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.st_resnet import check_pair
from stresnet.model.stream import SECOND

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
Fingerprint: TypeAlias = tuple[object, ...]


class InferenceNetwork:
    """A frozen copy of a network for testing, on the same device; the original may keep training.

    Args:
        net: copied as it is now; in any mode, BatchNorm uses running moments and dropout is off.
        precision: of filters and maps (see `stresnet.device`). Where the device multiplies bfloat16
            natively, bf16 is about twice as fast, and scores differ by up to 10 % of the greatest.
            Logits are float32 in any case.

    Attributes:
        config, class_names, preparation: of `net`.
        device: where it runs and where inputs belong.
        precision: "fp32", "bf16" or "fp16".

    Raises:
        UsageError: there is no precision of such a name, or the device does not have it.
    """

    def __init__(self, net: STResNet, *, precision: str = "auto") -> None:
        self.config = net.config
        self.class_names = net.class_names
        self.preparation = net.preparation
        self.device = net.device
        self.precision = resolve_precision(precision, self.device)
        dtype = DTYPES[self.precision]
        with torch.inference_mode():
            self.appearance = InferenceStream(net.appearance, dtype, net.config["rgb_mean"])
            self.motion = InferenceStream(net.motion, dtype, [net.config["flow_mean"]])
        self._connections = copy.deepcopy(net.connections)
        self._recorder = Recorder() if self.device.type == "cuda" else None

    @torch.inference_mode()
    def __call__(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each stream for each chunk; shapes and errors as in `STResNet.forward`.

        On CUDA, successive inputs of one shape are computed by a CUDA graph.
        """
        check_pair(rgb, flow)
        if self._recorder is None:
            return self._forward(rgb, flow)
        appearance, motion = self._recorder(self._forward, rgb, flow)
        return appearance, motion

    def _forward(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        # Between stages, x_a and x_m, (B*T, C, h, w), are outputs of f.
        x_a, x_m, T = self.appearance.stem(rgb), self.motion.stem(flow), rgb.shape[1]
        stages = zip(self.appearance.stages, self.motion.stages, self._connections, strict=True)
        for stage_a, stage_m, connect in stages:
            into_a, into_m = connect(stage_a[0](x_a, x_a, T), stage_m[0](x_m, x_m, T))
            x_a = stage_a[SECOND](into_a.shortcut, into_a.branch, T)
            x_m = stage_m[SECOND](into_m.shortcut, into_m.branch, T)
            for unit_a, unit_m in zip(stage_a[2:], stage_m[2:], strict=True):
                x_a, x_m = unit_a(x_a, x_a, T), unit_m(x_m, x_m, T)
        return self.appearance.head(x_a, T), self.motion.head(x_m, T)


class InferenceStream:
    """One stream's layers; `mean` is that of each input channel, or of all of them."""

    def __init__(self, stream: Stream, dtype: torch.dtype, mean: Sequence[float]) -> None:
        # Flow has one mean for all channels, and one number is subtracted several times as fast.
        self._offset = mean[0] if len(set(mean)) == 1 else stream.mean.clone()
        self._of_bytes = dtype if _whole_bytes(mean) else torch.float32
        self._dtype = dtype
        self._conv1 = Convolution(stream.conv1, stream.bn1, dtype, relu=True)
        self._shell = _without_weights(stream)
        self._classifier = stream.classifier.weight.clone(), stream.classifier.bias.clone()
        # After the first unit of a stage motion enters, and it must meet a sum before f.
        self.stages = [
            [
                InferenceUnit(cast(ResidualUnit, unit), dtype, relu=index > 0)
                for index, unit in enumerate(stage)
            ]
            for stage in stream.stages
        ]

    def stem(self, x: Tensor) -> Tensor:
        """conv1, f and pool1: (B, T, C, H, W) -> (B*T, width, H/4, W/4)."""
        self._shell.check(x)
        x, chunks = x.flatten(0, 1).contiguous(memory_format=torch.channels_last), x.shape[1]
        exact = self._of_bytes if x.dtype == torch.uint8 else torch.float32
        x = x.to(exact, copy=True).sub_(self._offset).to(self._dtype)
        pooled: Tensor = self._shell.pool1(self._conv1(x, chunks))
        return pooled

    def head(self, x: Tensor, chunks: int) -> Tensor:
        """Pools and classifier: (B*T, C, h, w) -> (B, T', K) float32."""
        return F.linear(self._shell.pooled(x.float(), chunks), *self._classifier)


class InferenceUnit:
    """A residual unit; with `relu`, f is applied to its sum at once."""

    def __init__(self, unit: ResidualUnit, dtype: torch.dtype, *, relu: bool) -> None:
        self._conv1 = Convolution(unit.conv1, unit.bn1, dtype, relu=True)
        self._conv2 = Convolution(unit.conv2, unit.bn2, dtype, relu=True)
        self._conv3 = Convolution(unit.conv3, unit.bn3, dtype, relu=relu)
        self._project = (
            None
            if unit.project is None or unit.project_bn is None
            else Convolution(unit.project, unit.project_bn, dtype, relu=False)
        )

    def __call__(self, shortcut: Tensor, branch: Tensor, chunks: int) -> Tensor:
        """The sum of shortcut and F(branch), in the shortcut's memory if that is an identity."""
        x = self._conv2(self._conv1(branch, chunks), chunks)
        total = shortcut if self._project is None else self._project(shortcut, chunks)
        return self._conv3.added_to(total, x, chunks)


def _without_weights(stream: Stream) -> Stream:
    """A copy for its checks and pools, whose tensors take no memory."""
    tensors = (*stream.parameters(), *stream.buffers())
    return copy.deepcopy(stream, {id(tensor): tensor.to("meta") for tensor in tensors})


def _whole_bytes(mean: Sequence[float]) -> bool:
    """Whether a byte minus the mean fits into the 8 bits that bfloat16 has."""
    return all(0 <= value <= 256 and value == round(value) for value in mean)


_cache: WeakKeyDictionary[STResNet, tuple[Fingerprint, InferenceNetwork]] = WeakKeyDictionary()


def frozen(net: STResNet, *, precision: str = "auto") -> InferenceNetwork:
    """Return a network as `InferenceNetwork`, made again only when the network has changed.

    The copy lives as long as `net` does, and takes as much memory as its weights (half as much in
    bf16 and fp16). Training steps, loading and moving are noticed as autograd notices them; writing
    through `.data`, which autograd misses too, is not.

    Args:
        net: as in `InferenceNetwork`; it may be in training, and stays unchanged.
        precision: as in `InferenceNetwork`.
    """
    wanted = resolve_precision(precision, net.device)
    fingerprint = _fingerprint(net)
    found = _cache.get(net)
    if found is not None and found[0] == fingerprint and found[1].precision == wanted:
        return found[1]
    made = InferenceNetwork(net, precision=wanted)
    _cache[net] = fingerprint, made
    return made


def _fingerprint(net: STResNet) -> Fingerprint:
    """What the copy depends on: names, where each tensor lies, how often it was written to."""
    tensors = net.state_dict(keep_vars=True).values()
    return (
        repr((net.config, net.class_names, net.preparation)),
        *(
            (tensor.device, tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
            for tensor in tensors
        ),
    )
