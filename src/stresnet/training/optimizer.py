"""The recipe's optimiser: which parameters decay, and which learn faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from stresnet.model.motion_residual import MotionConnection
from stresnet.model.sub_batch_norm import SubBatchNorm
from stresnet.model.temporal_convolution import TemporalConvolution
from stresnet.training.recipe import Phase, Recipe


def make_optimizer(learner: nn.Module, recipe: Recipe, phase: Phase) -> torch.optim.Optimizer:
    """SGD or AdamW over `parameter_groups`; `set_rate` sets its rate at each iteration.

    On a GPU one fused kernel updates all parameters.
    """
    groups = parameter_groups(learner, recipe, phase)
    fused = (
        all(p.is_cuda for group in groups for p in group["params"]) or None
    )  # None: as torch does
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, fused=fused)
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let every group learn at `rate` times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]


def parameter_groups(learner: nn.Module, recipe: Recipe, phase: Phase) -> list[dict[str, Any]]:
    """Filters decay, biases and normalisation do not (authors' setLrWd.m).

    With `recipe.double_rates`, biases and BatchNorm's gains learn twice as fast, as there;
    BatchNorm's own biases do not. Factors of motion residuals do not decay and have their own rate.
    Parameters that the phase before has trained have their own rate, too.
    """
    factors = {id(m.scale) for m in learner.modules() if isinstance(m, MotionConnection)}
    shifts = {id(m.bias) for m in learner.modules() if isinstance(m, SubBatchNorm)}
    new = {id(m.weight) for m in learner.modules() if isinstance(m, TemporalConvolution)} | factors
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in learner.parameters():
        if not parameter.requires_grad:
            continue
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        rate = 1.0
        if id(parameter) in factors:
            decay, rate = 0.0, recipe.scale_rate
        elif parameter.ndim == 1 and recipe.double_rates and id(parameter) not in shifts:
            rate = 2.0
        if id(parameter) not in new:
            rate *= phase.pretrained_rate
        groups.setdefault((decay, rate), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "multiplier": rate}
        for (decay, rate), parameters in groups.items()
    ]
