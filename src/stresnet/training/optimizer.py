"""The recipe's optimiser: which parameters decay, and which learn faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from stresnet.model.motion_residual import MotionConnection
from stresnet.model.sub_batch_norm import SubBatchNorm
from stresnet.training.recipe import Recipe


def make_optimizer(learner: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or AdamW over `parameter_groups`; `set_rate` sets its rate at each iteration."""
    groups = parameter_groups(learner, recipe)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0)
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let every group learn at `rate`, times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]


def parameter_groups(learner: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Filters decay, biases and normalisation do not (authors' setLrWd.m).

    With `recipe.double_rates`, biases and BatchNorm's gains learn twice as fast, as there;
    BatchNorm's own biases do not. Factors of motion residuals do not decay and have a rate of their
    own.
    """
    factors = {id(m.scale) for m in learner.modules() if isinstance(m, MotionConnection)}
    slow = {id(m.bias) for m in learner.modules() if isinstance(m, SubBatchNorm)}
    learning = [p for p in learner.parameters() if p.requires_grad]
    scales = [p for p in learning if id(p) in factors]
    learning = [p for p in learning if id(p) not in factors]
    filters = [p for p in learning if p.ndim > 1]
    fast = [p for p in learning if p.ndim <= 1 and id(p) not in slow]
    shifts = [p for p in learning if id(p) in slow]
    double = 2.0 if recipe.double_rates else 1.0
    groups: list[dict[str, Any]] = [
        {"params": filters, "weight_decay": recipe.weight_decay, "multiplier": 1.0},
        {"params": fast, "weight_decay": 0.0, "multiplier": double},
        {"params": shifts, "weight_decay": 0.0, "multiplier": 1.0},
    ]
    if scales:
        groups.append({"params": scales, "weight_decay": 0.0, "multiplier": recipe.scale_rate})
    return groups
