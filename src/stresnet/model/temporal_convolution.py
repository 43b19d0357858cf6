"""Eq. 5: a 1x1 convolution becomes a temporal one.

    w_t = w / T'  for t = 1..T',  T' = 3

The copies average over time: on a clip that does not change, the temporal filter answers as its
1x1 filter did. Time is padded with zeros, as in the authors' code, so the first and the last chunk
start with 2/3 of that answer.

Filters that were trained on single chunks have never seen such averages. Ours, not the paper's, is
"identity": w goes to the middle tap and its neighbours start at 0, so that on any clip the temporal
filter answers as its 1x1 filter did.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 3  # T' of Eq. 5

TemporalInit = Literal["average", "identity"]


class TemporalConvolution(nn.Module):
    """1x1 in space, 3 in time; stride 1, zero padding, no bias. Weight: (out, in, 3)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, TAPS))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """A fresh 1x1 filter (He et al.'s initialisation, fan out), inflated by Eq. 5."""
        out_channels, in_channels, _ = self.weight.shape
        pointwise = torch.empty(out_channels, in_channels, 1, 1, device=self.weight.device)
        nn.init.normal_(pointwise, std=math.sqrt(2 / out_channels))
        with torch.no_grad():
            self.weight.copy_(inflate(pointwise))

    def forward(self, x: Tensor, chunks: int) -> Tensor:
        """x: (B*T, in, H, W), with T = `chunks` -> (B*T, out, H, W)."""
        channels, height, width = x.shape[1:]
        # With the places of a map in a row, the filter is 3x1 on a (T, H*W) picture. That is the
        # fastest of four ways measured; in channels-last memory all but the convolution are views.
        x = x.reshape(-1, chunks, channels, height, width).transpose(1, 2)
        x = x.flatten(3)  # (B, in, T, H*W)
        x = F.conv2d(x, self.weight.unsqueeze(-1), padding=(TAPS // 2, 0))  # (B, out, T, H*W)
        return x.reshape(*x.shape[:3], height, width).transpose(1, 2).flatten(0, 1)


def inflate(pointwise: Tensor, how: TemporalInit = "average") -> Tensor:
    """A 1x1 filter (out, in, 1, 1) -> its temporal filter (out, in, 3).

    Args:
        how: "average": Eq. 5; "identity": all of it in the middle tap.
    """
    taps = pointwise.flatten(2)
    if how == "average":
        return (taps / TAPS).expand(-1, -1, TAPS)
    return F.pad(taps, (TAPS // 2, TAPS // 2))


def deflate(taps: Tensor) -> Tensor:
    """A temporal filter (out, in, 3) -> its 1x1 filter (out, in, 1, 1): `inflate` undone.

    For a trained filter, it is the 1x1 filter with the same answer where nothing changes.
    """
    return taps.sum(2)[..., None, None]
