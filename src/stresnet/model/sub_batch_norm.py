"""BatchNorm whose moments are taken over fewer videos than SGD's batch (section 4.1, Table 2).

The paper takes a gradient step over 128 or 256 videos, but normalises them in groups as small as 4.
The authors run each group as a forward and backward pass of its own; `SubBatchNorm` gives the same
outputs and gradients with the groups side by side.

Running moments. The authors average the moments of all groups of one SGD step, then move the
running moments 5 % towards that mean, once. So a forward pass only collects moments; after each
optimiser step call `commit_running_moments(net)`. The collected variance is the unbiased one, as in
PyTorch's BatchNorm; the authors average biased standard deviations, sqrt(variance + eps), which
`average_moments(net, "deviation")` switches to.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from stresnet.errors import UsageError

EPSILON = 1e-5
RATE = 0.05  # of the running moments, per optimiser step (the authors' setLrWd.m)

RunningMoments = Literal["variance", "deviation"]


class SubBatchNorm(nn.Module):
    """Batch normalisation over groups of videos; the T chunks of a video stay together.

    Args:
        channels: C.
        group: videos per group; the last group of a batch may be smaller. None: the whole batch.

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

    def __init__(self, channels: int, group: int | None = None) -> None:
        super().__init__()
        if group is not None and group < 1:
            raise UsageError(
                f"a norm group of {group} videos, expected at least 1",
                remedy="use norm_group=None to take the moments over the whole batch",
            )
        self.group = group
        self.averages: RunningMoments = "variance"
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        # Sums since the last commit; they are zero between steps, where checkpoints are written.
        self.register_buffer("collected_mean", torch.zeros(channels), persistent=False)
        self.register_buffer("collected_spread", torch.zeros(channels), persistent=False)
        self.register_buffer("collected_groups", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor, chunks: int) -> Tensor:
        """x: (B*T, C, H, W), with T = `chunks` -> same shape."""
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPSILON
            )
        if self.group is None or x.shape[0] <= self.group * chunks:
            return self._normalise(x)
        return torch.cat([self._normalise(part) for part in torch.split(x, self.group * chunks)])

    def _normalise(self, x: Tensor) -> Tensor:
        """Normalise one group, (n, C, H, W), by its own moments, and collect them."""
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
        """Move the running moments towards the mean of the collected ones, and forget these."""
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
        """Drop the collected moments, as when a step is skipped."""
        self.collected_mean.zero_()
        self.collected_spread.zero_()
        self.collected_groups.zero_()


def deviation(variance: Tensor) -> Tensor:
    """What the authors' BatchNorm divides by, and keeps."""
    return (variance + EPSILON).sqrt()


def average_moments(net: nn.Module, averages: RunningMoments) -> None:
    """Choose what every SubBatchNorm of `net` averages while it is trained."""
    for module in net.modules():
        if isinstance(module, SubBatchNorm):
            module.averages = averages


def commit_running_moments(net: nn.Module) -> None:
    """Update the running moments of every SubBatchNorm of `net`; call it once an optimiser step.

    Where training is distributed, the mean is over the groups of all processes, which must call
    this together. (DistributedDataParallel must not copy buffers: broadcast_buffers=False.)
    """
    norms = [module for module in net.modules() if isinstance(module, SubBatchNorm)]
    if distributed.is_available() and distributed.is_initialized():
        _sum_over_processes(norms)
    for norm in norms:
        norm.commit()


def _sum_over_processes(norms: list[SubBatchNorm]) -> None:
    collected = [
        tensor
        for norm in norms
        for tensor in (norm.collected_mean, norm.collected_spread, norm.collected_groups)
    ]
    together = torch.cat([tensor.flatten() for tensor in collected])  # one message, not hundreds
    distributed.all_reduce(together)
    totals = torch.split(together, [tensor.numel() for tensor in collected])
    for tensor, total in zip(collected, totals, strict=True):
        tensor.copy_(total.view_as(tensor))
