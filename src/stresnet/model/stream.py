"""One stream: a ResNet on every chunk of a video, whose chunks meet in its temporal convolutions.

Table 1's layers: conv1, pool1, conv2_x .. conv5_x, pool5 and a classifier. Two-dimensional layers
see the B*T chunks as one batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.errors import UsageError
from stresnet.model.residual_unit import EXPANSION, ResidualUnit, StrideIn
from stresnet.model.sub_batch_norm import SubBatchNorm
from stresnet.model.temporal_convolution import TemporalConvolution

Depth = Literal[26, 50, 101, 152, "small", "tiny"]
TemporalPool = Literal["pool5", "conv5"] | None
TemporalPoolKind = Literal["max", "average"]

# He et al., Table 1: residual units in conv2_x .. conv5_x, and the width of the first 3x3. Ours:
# "small", ResNet-50 up to the third unit of conv4_x, and "tiny", for trials.
UNITS: dict[Depth, tuple[int, ...]] = {
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    "small": (3, 4, 3),
    "tiny": (2, 2, 2, 2),
}
BASE_WIDTH: dict[Depth, int] = {26: 64, 50: 64, 101: 64, 152: 64, "small": 64, "tiny": 24}

SECOND = 1  # index of the unit, in each stage, that is temporal and that motion enters
POOL_WINDOW, POOL_STRIDE = 5, 2  # chunks; ST-ResNet*'s pool over time (Table 1)


class Stream(nn.Module):
    """A stream of ST-ResNet; alone, one of the two base networks of section 3.1.

    Args:
        in_channels: C; 3 for RGB, 2L = 20 for flow.
        num_classes: K.
        depth: of the ResNet; "small": ResNet-50 without conv5_x and the second half of conv4_x;
            or "tiny": 26 layers, 24 channels wide instead of 64.
        mean: what is subtracted from the input's channels; one number, or one per channel.
        temporal_convolutions: the 1x1s of each stage's second unit become temporal (Eq. 5).
        temporal_pool: where ST-ResNet* pools over time, 5 chunks at stride 2: after "pool5" (the
            paper's section 3.4) or after "conv5", before the average over space (its figure 3 and
            the authors' code). None: nowhere.
        temporal_pool_kind: "max" or "average".
        stride_in: the ResNet variant: "1x1", He et al.'s, strides in the first 1x1 and pools conv1
            without padding, rounding up; "3x3", torchvision's, strides in the 3x3 and pads pool1.
        input_size: pixels a side of a training crop; sets the window of pool5.
        dropout: rate before the classifier.

    Raises:
        UsageError: an argument is not one of the above.
    """

    mean: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        depth: Depth = 50,
        *,
        mean: float | Sequence[float],
        temporal_convolutions: bool = True,
        temporal_pool: TemporalPool = None,
        temporal_pool_kind: TemporalPoolKind = "max",
        stride_in: StrideIn = "1x1",
        input_size: int = 224,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _expect("num_classes", num_classes, num_classes >= 1, "at least 1")
        expect_one_of("depth", depth, UNITS)
        expect_one_of("temporal_pool", temporal_pool, (None, "pool5", "conv5"))
        expect_one_of("temporal_pool_kind", temporal_pool_kind, get_args(TemporalPoolKind))
        expect_one_of("stride_in", stride_in, get_args(StrideIn))
        _expect("input_size", input_size, input_size >= 32, "at least 32 pixels")
        _expect("dropout", dropout, 0 <= dropout < 1, "a rate in [0, 1)")

        self.depth = depth
        self.stride_in = stride_in
        self.temporal_pool = temporal_pool
        self.temporal_pool_kind = temporal_pool_kind
        self.stages_in_all = len(UNITS[depth])
        self.pool5_window = self.conv5_side(input_size)
        self.register_buffer("mean", _per_channel(mean, in_channels), persistent=False)

        width = BASE_WIDTH[depth]
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = SubBatchNorm(width)
        self.pool1 = (
            nn.MaxPool2d(3, stride=2, ceil_mode=True)
            if stride_in == "1x1"
            else nn.MaxPool2d(3, stride=2, padding=1)
        )

        def stage(number: int, in_channels: int) -> nn.ModuleList:
            out_channels = EXPANSION * width * 2**number
            return nn.ModuleList(
                ResidualUnit(
                    in_channels if unit == 0 else out_channels,
                    width * 2**number,
                    stride=2 if unit == 0 and number > 0 else 1,
                    stride_in=stride_in,
                    temporal=temporal_convolutions and unit == SECOND,
                )
                for unit in range(UNITS[depth][number])
            )

        self.conv2_x = stage(0, width)
        self.conv3_x = stage(1, EXPANSION * width)
        self.conv4_x = stage(2, EXPANSION * width * 2)
        self.conv5_x = stage(3, EXPANSION * width * 4) if self.stages_in_all > 3 else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(EXPANSION * width * 2 ** (self.stages_in_all - 1), num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Set convolutions as He et al. (2015), fan out, and the classifier as the authors do."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, TemporalConvolution):
                module.reset_parameters()
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    @property
    def stages(self) -> Iterator[nn.ModuleList]:
        """conv2_x, conv3_x, conv4_x, and conv5_x if the depth has it."""
        yield from (self.conv2_x, self.conv3_x, self.conv4_x)
        if self.conv5_x is not None:
            yield self.conv5_x

    def units(self, index: int) -> Iterator[ResidualUnit]:
        """The unit of that index in each stage."""
        for stage in self.stages:
            unit = stage[index]
            assert isinstance(unit, ResidualUnit)
            yield unit

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, C, H, W), bytes or floats in 0..255 -> logits (B, T', K).

        T' = T, or (T - 5) // 2 + 1 with a temporal pool. Frames larger than `input_size` give a map
        of scores, which is averaged.

        Raises:
            UsageError: another shape, frames that are too small, or too few chunks for the
                temporal pool.
        """
        x, chunks = self.stem(x), x.shape[1]  # (B*T, ...) from here on
        for stage in self.stages:
            for unit in stage:
                x = unit(F.relu(x), chunks)
        return self.head(x, chunks)

    def stem(self, x: Tensor) -> Tensor:
        """conv1 and pool1: (B, T, C, H, W) -> (B*T, width, H/4, W/4), before f."""
        self.check(x)
        x = x.flatten(0, 1)
        if self.conv1.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)  # while pixels are bytes
        # In float32 even where the weights are half: bytes minus a mean need more than 8 bits.
        x = x - self.mean.to(torch.promote_types(x.dtype, torch.float32))
        x = self.bn1(self.conv1(x.to(self.conv1.weight.dtype)))
        pooled: Tensor = self.pool1(x)
        return pooled  # f commutes with the maximum, so it may come after, on a smaller map

    def head(self, x: Tensor, chunks: int) -> Tensor:
        """pool5, pool over time and classifier: conv5_x's sum (B*T, C, h, w) -> (B, T', K)."""
        scores: Tensor = self.classifier(self.dropout(self.pooled(F.relu(x), chunks)))
        return scores

    def pooled(self, x: Tensor, chunks: int) -> Tensor:
        """pool5 and pool over time: (B*T, C, h, w), after f -> (B, T', C)."""
        if self.temporal_pool == "conv5":
            x, chunks = self._pool_over_time(x, chunks)
        x = F.avg_pool2d(x, self.pool5_window, stride=1)
        if self.temporal_pool == "pool5":
            x, chunks = self._pool_over_time(x, chunks)
        # The mean of the scores at all places is the score of the mean: the classifier is linear.
        features = x.mean((2, 3))
        return features.view(-1, chunks, features.shape[1])

    def _pool_over_time(self, x: Tensor, chunks: int) -> tuple[Tensor, int]:
        """(B*T, C, h, w), T -> (B*T', C, h, w), T'."""
        x = x.reshape(-1, chunks, *x.shape[1:]).transpose(1, 2)  # (B, C, T, h, w)
        pool = F.max_pool3d if self.temporal_pool_kind == "max" else F.avg_pool3d
        x = pool(x, (POOL_WINDOW, 1, 1), stride=(POOL_STRIDE, 1, 1))
        return x.transpose(1, 2).flatten(0, 1), x.shape[2]

    def conv5_side(self, pixels: int) -> int:
        """Pixels along one side of a frame -> places along that side of the last stage's map."""
        conv1 = (pixels + 1) // 2
        pool1 = conv1 // 2 if self.stride_in == "1x1" else (conv1 + 1) // 2
        stride = 1 << (self.stages_in_all - 1)  # of all stages together, 8 with conv5_x
        return (pool1 + stride - 1) // stride

    def check(self, x: Tensor) -> None:
        """Raise `UsageError` unless x has the shape (B, T, C, H, W) that `forward` takes."""
        channels = self.conv1.in_channels
        if x.ndim != 5 or x.shape[2] != channels or 0 in x.shape:
            raise UsageError(
                f"input of shape {tuple(x.shape)}, "
                f"expected (videos, chunks, {channels}, height, width)",
                remedy="stack the chunks of each video along the second axis",
            )
        height, width = x.shape[3:]
        window = self.pool5_window
        if min(self.conv5_side(height), self.conv5_side(width)) < window:
            raise UsageError(
                f"frames of {height}x{width} px give a conv5 map of {self.conv5_side(height)}x"
                f"{self.conv5_side(width)}, expected at least pool5's window, {window}x{window}",
                remedy="resize the frames, or build the network with a smaller input_size",
            )
        if self.temporal_pool and x.shape[1] < POOL_WINDOW:
            raise UsageError(
                f"{x.shape[1]} chunks per video, the temporal pool needs at least {POOL_WINDOW}",
                remedy="sample more chunks, or build the network with temporal_pool=None",
            )


def _per_channel(mean: float | Sequence[float], channels: int) -> Tensor:
    """One number or one per channel -> (channels, 1, 1)."""
    values = np.asarray(mean)
    are_numbers = values.dtype.kind in "iuf" and values.shape in ((), (channels,))
    _expect("mean", mean, are_numbers, f"one number, or {channels}")
    values = np.broadcast_to(values, channels).tolist()
    return torch.tensor(values, dtype=torch.float32).view(channels, 1, 1)


def _expect(name: str, got: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {got!r}, expected {expected}")


def expect_one_of(name: str, got: object, choices: Collection[object]) -> None:
    """Raise `UsageError` unless an argument is one of its choices."""
    _expect(name, got, got in choices, f"one of {', '.join(map(repr, choices))}")
