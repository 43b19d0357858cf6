"""An exponential moving average of the weights, which generalises better than the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of a learner's weights, and of its norms' running moments, after each step.

    The first n steps, n = 1 / (1 - decay), are averaged plainly: what the learner was before its
    first step has no share, however short the phase. A decay of 0 gives the last weights.

    Args:
        learner: whose state is averaged.
        decay: a step, in [0, 1).

    Attributes:
        state: the average, by the names of the learner's state_dict.
    """

    def __init__(self, learner: nn.Module, decay: float) -> None:
        self.learner, self.decay = learner, decay
        self.state: dict[str, Tensor] = {}
        self.load(learner.state_dict())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the learner as it is after `step`, counted from 0."""
        share = 1 - min(self.decay, step / (step + 1))
        for name, tensor in self.learner.state_dict().items():
            self.state[name].lerp_(tensor, share)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an average that was kept."""
        for name, tensor in self.learner.state_dict().items():
            # Laid out in memory as the learner's own, which is quicker to average.
            self.state[name] = torch.empty_like(tensor).copy_(state[name])
