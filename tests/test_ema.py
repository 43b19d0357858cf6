"""Laws of the averaged weights."""

import pytest
import torch
from torch import Tensor, nn

from stresnet.model import SubBatchNorm
from stresnet.training.ema import WeightAverage


def averages(decay: float, steps: int) -> tuple[list[Tensor], Tensor]:
    """The weights after each of some steps, and their average."""
    learner = SubBatchNorm(3)
    average = WeightAverage(learner, decay)
    seen = []
    for step in range(steps):
        with torch.no_grad():
            learner.weight.normal_()
            learner.running_mean.copy_(learner.weight)
        average.update(step)
        seen.append(learner.weight.detach().clone())
    assert torch.equal(average.state["running_mean"], average.state["weight"])
    return seen, average.state["weight"]


def test_a_decay_of_zero_is_the_last_weights() -> None:
    seen, average = averages(0.0, 5)
    assert torch.equal(average, seen[-1])


def test_few_steps_are_averaged_plainly_without_the_first_weights() -> None:
    seen, average = averages(0.9, 10)
    torch.testing.assert_close(average, torch.stack(seen).mean(0))


def test_many_steps_fade_exponentially() -> None:
    seen, average = averages(0.5, 20)
    shares = torch.tensor([0.5 ** min(20 - i, 19) for i in range(20)])
    assert shares.sum().item() == pytest.approx(1)
    torch.testing.assert_close(average, (shares[:, None] * torch.stack(seen)).sum(0))


def test_a_kept_average_goes_on() -> None:
    learner = nn.Linear(2, 2)
    one, other = WeightAverage(learner, 0.9), WeightAverage(nn.Linear(2, 2), 0.9)
    one.update(0)
    other.load(one.state)
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert other.state["weight"] is not one.state["weight"]
