"""A convolution with all that surrounds it, in one pass over memory.

BatchNorm at test time is a factor and an offset a channel, which the filter and its bias take in:

    gamma (w * x - m) / sqrt(v + eps) + beta = (s w) * x + (beta - s m),  s = gamma / sqrt(v + eps)

exactly, but for rounding. On CPUs oneDNN adds the shortcut and applies the ReLU while a value is
still in a register. torch has these operators for its compiler, but they need none. Elsewhere (a
GPU, oneDNN switched off) the same is said in plain torch.

The only door to torch's oneDNN operators. Maps are in channels-last memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.model.sub_batch_norm import EPSILON, SubBatchNorm
from stresnet.model.temporal_convolution import TemporalConvolution


class Convolution:
    """A frozen convolution, its BatchNorm folded in, then optionally a sum and a ReLU.

    Args:
        conv: 2-D, or temporal (Eq. 5).
        norm: the BatchNorm that follows it.
        dtype: of filter, bias and maps.
        relu: whether f follows.
        divisor: (in, 1, 1), what the input has not yet been divided by.
    """

    def __init__(
        self,
        conv: nn.Conv2d | TemporalConvolution,
        norm: SubBatchNorm,
        dtype: torch.dtype,
        *,
        relu: bool,
        divisor: Tensor | None = None,
    ) -> None:
        self.relu = relu
        self.temporal = isinstance(conv, TemporalConvolution)
        # In time as the model does it: a 3x1 filter on a picture of T rows, H*W columns.
        weight = conv.weight.unsqueeze(-1) if self.temporal else conv.weight
        self.stride = conv.stride[0] if isinstance(conv, nn.Conv2d) else 1
        self.padding = [side // 2 for side in weight.shape[2:]]  # as all of the model's
        if divisor is not None:
            weight = weight / divisor
        weight, bias = folded(weight, norm)
        self.weight = weight.to(dtype, memory_format=torch.channels_last)
        self.bias = bias.to(dtype)
        self.fused = _has_fused_operators(self.weight)

    def __call__(self, x: Tensor, chunks: int) -> Tensor:
        """x: (B*T, in, H, W), with T = `chunks` -> (B*T, out, H/stride, W/stride)."""
        y = self._convolve(self._picture(x, chunks))
        return self._map(y, x) if self.temporal else y

    def added_to(self, total: Tensor, x: Tensor, chunks: int) -> Tensor:
        """The same, added to `total`, (B*T, out, H/stride, W/stride), whose memory it takes."""
        y = self._convolve_onto(self._picture(total, chunks), self._picture(x, chunks))
        return self._map(y, x) if self.temporal else y

    def _convolve(self, x: Tensor) -> Tensor:
        if self.fused:
            after = "relu" if self.relu else "none"
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, *self._geometry, after, [], ""
            )
            return y
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return y.relu_() if self.relu else y

    def _convolve_onto(self, total: Tensor, x: Tensor) -> Tensor:
        if self.fused:
            after = "relu" if self.relu else None
            y: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
                total, x, self.weight, self.bias, *self._geometry, "add", 1.0, after, [], ""
            )
            return y
        y = total.add_(F.conv2d(x, self.weight, self.bias, self.stride, self.padding))
        return y.relu_() if self.relu else y

    @property
    def _geometry(self) -> tuple[list[int], list[int], list[int], int]:
        """Padding, stride, dilation, groups."""
        return self.padding, [self.stride] * 2, [1, 1], 1

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


def _has_fused_operators(weight: Tensor) -> bool:
    return bool(
        weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.enabled
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise_")
        and (weight.dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )
