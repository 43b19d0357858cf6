"""ST-ResNet as it is tested: the layers of `model.st_resnet`, frozen and fused.

    net = load_model(folder)
    fast = InferenceNetwork(net, bf16=True)
    appearance, motion = fast(rgb, flow)        # as net(rgb, flow) in eval mode

Speed and exactness: docs/inference.md.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.inference.convolution import Convolution
from stresnet.memory import keep_memory
from stresnet.model import Stream, STResNet
from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.st_resnet import check_pair
from stresnet.model.stream import SECOND


class InferenceNetwork:
    """A frozen copy of a network for testing, on the same device; the network may train on.

    Args:
        net: as it is now; BatchNorm uses its running moments and dropout rests, in any mode.
        bf16: filters and maps in bfloat16: about twice as fast where the processor multiplies it
            natively; scores differ by up to 10 % of the greatest. Logits are float32 all the same.

    Attributes:
        config, class_names, preparation: of `net`.
        bf16: as given.
    """

    def __init__(self, net: STResNet, *, bf16: bool = False) -> None:
        self.config = net.config
        self.class_names = net.class_names
        self.preparation = net.preparation
        self.bf16 = bf16
        dtype = torch.bfloat16 if bf16 else torch.float32
        with torch.inference_mode():
            self.appearance = InferenceStream(net.appearance, dtype)
            self.motion = InferenceStream(net.motion, dtype)
        self._connect = net.connect
        if self.device.type == "cpu":
            keep_memory()

    @property
    def device(self) -> torch.device:
        """Where inputs belong."""
        return self.appearance.mean.device

    @torch.inference_mode()
    def __call__(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each stream for each chunk; shapes and errors as of `STResNet.forward`."""
        check_pair(rgb, flow)
        # Between stages x_a and x_m, (B*T, C, h, w), have passed f.
        x_a, x_m, T = self.appearance.stem(rgb), self.motion.stem(flow), rgb.shape[1]
        for stage_a, stage_m in zip(self.appearance.stages, self.motion.stages, strict=True):
            into_a, into_m = self._connect(stage_a[0](x_a, x_a, T), stage_m[0](x_m, x_m, T))
            x_a = stage_a[SECOND](into_a.shortcut, into_a.branch, T)
            x_m = stage_m[SECOND](into_m.shortcut, into_m.branch, T)
            for unit_a, unit_m in zip(stage_a[2:], stage_m[2:], strict=True):
                x_a, x_m = unit_a(x_a, x_a, T), unit_m(x_m, x_m, T)
        return self.appearance.head(x_a, T), self.motion.head(x_m, T)


class InferenceStream:
    """One stream's layers."""

    def __init__(self, stream: Stream, dtype: torch.dtype) -> None:
        self.mean = stream.mean.clone()
        # Flow has one mean for all channels, and one number is subtracted several times as fast.
        same = bool((self.mean == self.mean[0]).all())
        self._offset = self.mean[0].item() if same else self.mean
        self._of_bytes = dtype if _whole_bytes(self.mean) else torch.float32
        self._dtype = dtype
        self._conv1 = Convolution(stream.conv1, stream.bn1, dtype, relu=True, divisor=stream.std)
        self._stream = stream  # for what needs no weights: checks and pools
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
        self._stream.check(x)
        x, chunks = x.flatten(0, 1).contiguous(memory_format=torch.channels_last), x.shape[1]
        exact = self._of_bytes if x.dtype == torch.uint8 else torch.float32
        x = x.to(exact, copy=True).sub_(self._offset).to(self._dtype)
        pooled: Tensor = self._stream.pool1(self._conv1(x, chunks))
        return pooled

    def head(self, x: Tensor, chunks: int) -> Tensor:
        """Pools and classifier: (B*T, C, h, w) -> (B, T', K) float32."""
        return F.linear(self._stream.pooled(x.float(), chunks), *self._classifier)


class InferenceUnit:
    """A residual unit; `relu`: its sum passes f at once."""

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
        """The sum of shortcut and F(branch); an identity's memory is taken for it."""
        x = self._conv2(self._conv1(branch, chunks), chunks)
        total = shortcut if self._project is None else self._project(shortcut, chunks)
        return self._conv3.added_to(total, x, chunks)


def _whole_bytes(mean: Tensor) -> bool:
    """Whether a byte less the mean needs no more than the 8 bits that bfloat16 has."""
    return bool(((mean == mean.round()) & (mean >= 0) & (mean <= 256)).all())
