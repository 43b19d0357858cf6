"""A convolution with all that surrounds it, in one pass over memory.

BatchNorm at test time is a factor and an offset for each channel, folded into filter and bias:

    gamma (w * x - m) / sqrt(v + eps) + beta = (s w) * x + (beta - s m),  s = gamma / sqrt(v + eps)

exactly, except for rounding. On CPUs, oneDNN also adds the shortcut and applies the ReLU while a
value is still in a register. torch keeps these operators for its compiler (they are private: no
public call joins a convolution to a sum), so they are tried once before they are relied on. On a
GPU, or where they do not work, the same is done by public operators.

Maps are in channels-last memory.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.model.sub_batch_norm import EPSILON, SubBatchNorm
from stresnet.model.temporal_convolution import TemporalConvolution


class Filter(NamedTuple):
    """What a convolution multiplies with, and whether f = ReLU follows."""

    weight: Tensor
    bias: Tensor
    stride: int
    padding: list[int]
    relu: bool


class Convolution:
    """A frozen convolution, its BatchNorm folded in, then optionally a sum and a ReLU.

    Args:
        conv: 2-D, or temporal (Eq. 5).
        norm: the BatchNorm that follows it.
        dtype: of filter, bias and maps.
        relu: whether f follows.
    """

    def __init__(
        self,
        conv: nn.Conv2d | TemporalConvolution,
        norm: SubBatchNorm,
        dtype: torch.dtype,
        *,
        relu: bool,
    ) -> None:
        self.temporal = isinstance(conv, TemporalConvolution)
        # In time as the model does it: a 3x1 filter on a picture of T rows and H*W columns.
        weight = conv.weight.unsqueeze(-1) if self.temporal else conv.weight
        padding = [side // 2 for side in weight.shape[2:]]  # as everywhere in the model
        weight, bias = folded(weight, norm)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        stride = conv.stride[0] if isinstance(conv, nn.Conv2d) else 1
        self.filter = Filter(weight, bias.to(dtype), stride, padding, relu)
        if can_fuse(weight):
            self._convolve, self._convolve_onto = fused, fused_onto
        else:
            self._convolve, self._convolve_onto = plain, plain_onto

    def __call__(self, x: Tensor, chunks: int) -> Tensor:
        """x: (B*T, in, H, W), with T = `chunks` -> (B*T, out, H/stride, W/stride)."""
        y = self._convolve(self._picture(x, chunks), self.filter)
        return self._map(y, x) if self.temporal else y

    def added_to(self, total: Tensor, x: Tensor, chunks: int) -> Tensor:
        """The same, added in place to `total`, (B*T, out, H/stride, W/stride)."""
        y = self._convolve_onto(self._picture(total, chunks), self._picture(x, chunks), self.filter)
        return self._map(y, x) if self.temporal else y

    def _picture(self, x: Tensor, chunks: int) -> Tensor:
        """(B*T, C, H, W) -> (B, C, T, H*W) for a temporal filter, in the same memory."""
        if not self.temporal:
            return x
        return x.reshape(-1, chunks, *x.shape[1:]).transpose(1, 2).flatten(3)

    def _map(self, y: Tensor, like: Tensor) -> Tensor:
        """(B, C, T, H*W) -> (B*T, C, H, W)."""
        return y.reshape(*y.shape[:3], *like.shape[2:]).transpose(1, 2).flatten(0, 1)


def folded(weight: Tensor, norm: SubBatchNorm) -> tuple[Tensor, Tensor]:
    """A filter (out, in, ...) and the BatchNorm after it -> filter and bias (out,), in float32."""
    scale = norm.weight.double() / (norm.running_var.double() + EPSILON).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight * scale.float().view(-1, *[1] * (weight.ndim - 1)), bias.float()


def plain(x: Tensor, by: Filter) -> Tensor:
    """x: (n, in, h, w) -> (n, out, h/stride, w/stride)."""
    y = F.conv2d(x, by.weight, by.bias, by.stride, by.padding)
    return y.relu_() if by.relu else y


def plain_onto(total: Tensor, x: Tensor, by: Filter) -> Tensor:
    """The same, added in place to `total` before f."""
    y = total.add_(F.conv2d(x, by.weight, by.bias, by.stride, by.padding))
    return y.relu_() if by.relu else y


def fused(x: Tensor, by: Filter) -> Tensor:
    """`plain`, by oneDNN in one pass."""
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, by.weight, by.bias, by.padding, [by.stride] * 2, [1, 1], 1,
        "relu" if by.relu else "none", [], "",
    )  # fmt: skip
    return y


def fused_onto(total: Tensor, x: Tensor, by: Filter) -> Tensor:
    """`plain_onto`, by oneDNN in one pass."""
    y: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
        total, x, by.weight, by.bias, by.padding, [by.stride] * 2, [1, 1], 1,
        "add", 1.0, "relu" if by.relu else None, [], "",
    )  # fmt: skip
    return y


def can_fuse(weight: Tensor) -> bool:
    """Whether oneDNN's fused operators exist for a filter like this, and do what we expect."""
    return bool(
        weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.enabled
        and fused_operators_work(weight.dtype)
    )


@cache
def fused_operators_work(dtype: torch.dtype) -> bool:
    """Compare the fused operators with the public ones on a small convolution."""
    x = torch.linspace(-1, 1, 2 * 3 * 5 * 5).view(2, 3, 5, 5)
    weight, total = x[:, :, :3, :3].cos(), x[:, :2].sin()
    by = Filter(weight.to(dtype), torch.tensor([0.5, -0.5], dtype=dtype), 1, [1, 1], True)
    x, total = (each.to(dtype, memory_format=torch.channels_last) for each in (x, total))
    by = by._replace(weight=by.weight.contiguous(memory_format=torch.channels_last))
    tolerance = 10 * torch.finfo(dtype).eps
    try:
        with torch.inference_mode():
            return torch.allclose(
                fused(x, by), plain(x, by), rtol=tolerance, atol=tolerance
            ) and torch.allclose(
                fused_onto(total.clone(), x, by),
                plain_onto(total.clone(), x, by),
                rtol=tolerance,
                atol=tolerance,
            )
    except Exception:  # whatever another version of torch makes of other arguments
        return False
