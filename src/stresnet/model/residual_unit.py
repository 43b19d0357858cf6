"""Eq. 1: the residual unit.

    x_{l+1} = f(x_l) + F(f(x_l), W_l)        f = ReLU

Here a unit takes f's output, and returns the sum *before* the next f, which Eq. 2 needs.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.model.sub_batch_norm import SubBatchNorm
from stresnet.model.temporal_convolution import TemporalConvolution

EXPANSION = 4  # a unit's output has 4 times as many channels as its 3x3 convolution

StrideIn = Literal["1x1", "3x3"]


class ResidualUnit(nn.Module):
    """A bottleneck: 1x1, 3x3, 1x1, each with BatchNorm, around a shortcut.

    Args:
        in_channels: channels of the input.
        width: channels of the 3x3 convolution; the output has 4 * width.
        stride: 1, or 2 in the first unit of conv3_x, conv4_x, conv5_x.
        stride_in: which convolution strides: "1x1" (He et al., the paper) or "3x3" (torchvision).
        temporal: both 1x1 convolutions are temporal (Eq. 5).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        stride_in: StrideIn = "1x1",
        temporal: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels = EXPANSION * width
        stride_1x1, stride_3x3 = (stride, 1) if stride_in == "1x1" else (1, stride)

        self.conv1 = _pointwise(in_channels, width, stride_1x1, temporal)
        self.bn1 = SubBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride_3x3, padding=1, bias=False)
        self.bn2 = SubBatchNorm(width)
        self.conv3 = _pointwise(width, out_channels, 1, temporal)
        self.bn3 = SubBatchNorm(out_channels)

        self.project: nn.Conv2d | None = None  # the shortcut is the identity where shapes allow
        self.project_bn: SubBatchNorm | None = None
        if stride != 1 or in_channels != out_channels:
            self.project = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.project_bn = SubBatchNorm(out_channels)

    def forward(self, x: Tensor, chunks: int, branch_input: Tensor | None = None) -> Tensor:
        """The sum of shortcut and branch, before f.

        Args:
            x: (B*T, in, H, W), f(x_l); the shortcut takes it.
            chunks: T.
            branch_input: what F takes instead of x, where a motion residual enters (Eq. 2).

        Returns:
            (B*T, 4*width, H/stride, W/stride)
        """
        branch = self.branch(x if branch_input is None else branch_input, chunks)
        return branch.add_(self.shortcut(x))  # no one else holds the branch

    def shortcut(self, x: Tensor) -> Tensor:
        """The identity, or a strided projection where the shape changes."""
        if self.project is None or self.project_bn is None:
            return x
        projected: Tensor = self.project_bn(self.project(x))
        return projected

    def branch(self, x: Tensor, chunks: int) -> Tensor:
        """F(x, W_l)."""
        x = F.relu(self.bn1(_convolve(self.conv1, x, chunks)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        branch: Tensor = self.bn3(_convolve(self.conv3, x, chunks))
        return branch


def _pointwise(
    in_channels: int, out_channels: int, stride: int, temporal: bool
) -> nn.Conv2d | TemporalConvolution:
    if temporal:  # only units of stride 1 are
        return TemporalConvolution(in_channels, out_channels)
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


def _convolve(conv: nn.Conv2d | TemporalConvolution, x: Tensor, chunks: int) -> Tensor:
    y: Tensor = conv(x, chunks) if isinstance(conv, TemporalConvolution) else conv(x)
    return y
