"""BatchNorm whose moments are taken over fewer videos than SGD's batch (section 4.1, Table 2).

The paper takes a gradient step over 128 or 256 videos, but normalises them in groups as small as 4.
Each group is a forward and backward pass of its own, here (`stresnet.training.loop`) as in the
authors' code, and its gradients are added up.

Running moments. The authors average the moments of all groups of one SGD step, then move the
running moments 5 % towards that mean, once. So a forward pass only collects moments; after each
optimiser step call `commit_running_moments(net)`. The collected variance is the unbiased one, as in
PyTorch's BatchNorm; the authors average biased standard deviations, sqrt(variance + eps), which
`average_moments(net, "deviation")` switches to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.errors import UsageError

EPSILON = 1e-5
RATE = 0.05  # of the running moments, per optimiser step (the authors' setLrWd.m)

RunningMoments = Literal["variance", "deviation"]


class SubBatchNorm(nn.Module):
    """Batch normalisation of a group of videos, all their chunks together.

    Args:
        channels: C.

    Attributes:
        averages: what is averaged over groups and steps: "variance", or the authors' "deviation".
            Either way `running_var` holds a variance.

    Its state has BatchNorm2d's names: weight, bias, running_mean, running_var.
    """

    running_mean: Tensor
    running_var: Tensor
    collected_mean: Tensor
    collected_spread: Tensor
    collected_groups: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.averages: RunningMoments = "variance"
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        # Sums since the last commit; they are zero between steps, where checkpoints are written.
        self.register_buffer("collected_mean", torch.zeros(channels), persistent=False)
        self.register_buffer("collected_spread", torch.zeros(channels), persistent=False)
        self.register_buffer("collected_groups", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B*T, C, H, W) -> same shape; in training, x's own moments are used and collected."""
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPSILON
            )
        values = x.numel() // x.shape[1]
        if values < 2:
            raise UsageError(
                "BatchNorm got one value per channel, expected at least 2 to take a variance",
                remedy="train with more videos per group, more chunks, or larger frames",
            )
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        # With momentum 1 the "running" moments that torch writes are this group's own.
        x = F.batch_norm(
            x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=EPSILON
        )
        if self.averages == "deviation":
            variance = deviation(variance * ((values - 1) / values))
        self.collected_mean += mean
        self.collected_spread += variance
        self.collected_groups += 1
        return x

    @torch.no_grad()
    def commit(self) -> None:
        """Move the running moments towards the mean of those collected, and drop the latter."""
        # Where nothing was collected the rate is zero; an `if` would have to wait for the device.
        rate = RATE * self.collected_groups.clamp(max=1)
        groups = self.collected_groups.clamp(min=1)
        self.running_mean.lerp_(self.collected_mean / groups, rate)
        if self.averages == "deviation":
            spread = deviation(self.running_var).lerp_(self.collected_spread / groups, rate)
            self.running_var.copy_((spread.square() - EPSILON).clamp(min=0))
        else:
            self.running_var.lerp_(self.collected_spread / groups, rate)
        self.forget()

    def forget(self) -> None:
        """Drop the collected moments."""
        self.collected_mean.zero_()
        self.collected_spread.zero_()
        self.collected_groups.zero_()


def deviation(variance: Tensor) -> Tensor:
    """What the authors' BatchNorm divides by, and keeps."""
    return (variance + EPSILON).sqrt()


def norms_of(net: nn.Module) -> Iterator[SubBatchNorm]:
    """Every SubBatchNorm of a network, or of a part of it."""
    return (module for module in net.modules() if isinstance(module, SubBatchNorm))


def average_moments(net: nn.Module, averages: RunningMoments) -> None:
    """Choose what every SubBatchNorm of `net` averages while it is trained."""
    for norm in norms_of(net):
        norm.averages = averages


def collected_moments(net: nn.Module) -> list[Tensor]:
    """What was collected since the last step; several processes sum it up before they commit.

    (DistributedDataParallel must not copy buffers: broadcast_buffers=False.)
    """
    return [
        tensor
        for norm in norms_of(net)
        for tensor in (norm.collected_mean, norm.collected_spread, norm.collected_groups)
    ]


def commit_running_moments(net: nn.Module) -> None:
    """Update the running moments of every SubBatchNorm of `net`; call it after each optimiser step.

    Fixed norms, which are in eval mode, stay as they are.
    """
    for norm in norms_of(net):
        if norm.training:
            norm.commit()


def forget_moments(net: nn.Module) -> None:
    """Drop what was collected, for a step that is skipped."""
    for norm in norms_of(net):
        norm.forget()
