"""How far each layer sees, in pixels and in chunks, computed from the layers themselves.

For ResNet-50 this is the paper's Table 1: 7, 11, 35, 99, 291, 483, 675 pixels and, after conv2_x to
conv5_x, 5, 9, 13, 17 chunks (tau frames apart).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import nn

from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.st_resnet import STResNet
from stresnet.model.stream import POOL_WINDOW, Stream
from stresnet.model.temporal_convolution import TAPS, TemporalConvolution


@dataclass(frozen=True)
class ReceptiveField:
    """What one output sees of the input: `pixels` per side, `chunks` in time."""

    pixels: int = 1
    chunks: int = 1
    stride: int = 1  # input pixels between neighbouring outputs

    def after(self, kernel: int, stride: int = 1) -> ReceptiveField:
        """The field behind one more layer in space."""
        return ReceptiveField(
            self.pixels + (kernel - 1) * self.stride, self.chunks, self.stride * stride
        )

    def along_time(self, kernel: int) -> ReceptiveField:
        """The field behind one more layer in time, where nothing before it strides."""
        return ReceptiveField(self.pixels, self.chunks + kernel - 1, self.stride)


def receptive_fields(net: STResNet | Stream) -> dict[str, ReceptiveField]:
    """Table 1: conv1, pool1, conv2_x .. conv5_x, pool5 (and temporal_pool) -> their field.

    Both streams of an STResNet see equally far, and so do the connections between them.
    """
    stream = net.appearance if isinstance(net, STResNet) else net
    field = _behind(stream.conv1, ReceptiveField())
    fields = {"conv1": field}
    field = fields["pool1"] = field.after(3, 2)
    for number, stage in enumerate(stream.stages, start=2):
        for unit in stage:
            field = _behind_unit(cast(ResidualUnit, unit), field)
        fields[f"conv{number}_x"] = field
    if stream.temporal_pool == "conv5":
        field = fields["temporal_pool"] = field.along_time(POOL_WINDOW)
    field = fields["pool5"] = field.after(stream.pool5_window)
    if stream.temporal_pool == "pool5":
        fields["temporal_pool"] = field.along_time(POOL_WINDOW)
    return fields


def _behind_unit(unit: ResidualUnit, field: ReceptiveField) -> ReceptiveField:
    """The field behind a unit's branch, which sees further than the shortcut."""
    for layer in (unit.conv1, unit.conv2, unit.conv3):
        field = _behind(layer, field)
    return field


def _behind(layer: nn.Conv2d | TemporalConvolution, field: ReceptiveField) -> ReceptiveField:
    if isinstance(layer, TemporalConvolution):
        return field.along_time(TAPS)
    return field.after(layer.kernel_size[0], layer.stride[0])


def count_parameters(net: nn.Module) -> int:
    """Learned numbers: 58,624,394 for ST-ResNet-50 with UCF101's 101 classes."""
    return sum(parameter.numel() for parameter in net.parameters())
