"""Sub-batch normalisation: small groups of videos, each a pass of its own; moments once a step."""

import copy

import pytest
import torch
from torch import Tensor, nn

from stresnet.errors import UsageError
from stresnet.model import SubBatchNorm, commit_running_moments
from stresnet.model.sub_batch_norm import RunningMoments, average_moments

CHUNKS = 3


def random_norm() -> SubBatchNorm:
    norm = SubBatchNorm(4).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def batch(videos: int) -> Tensor:
    scale = torch.arange(1, videos + 1).double().repeat_interleave(CHUNKS).view(-1, 1, 1, 1)
    return torch.randn(videos * CHUNKS, 4, 5, 5).double() * scale + scale


def test_a_group_is_normalised_by_its_own_moments() -> None:
    by_channel = SubBatchNorm(4).double()(batch(2)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(by_channel.mean(1), torch.zeros(4).double())
    variance = by_channel.var(1, correction=0)
    torch.testing.assert_close(variance, torch.ones(4).double(), rtol=0, atol=1e-4)


def test_one_group_is_batch_norm() -> None:
    ours = random_norm()
    theirs = nn.BatchNorm2d(4, momentum=0.05).double()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    for _ in range(3):
        x = batch(4)
        torch.testing.assert_close(ours(x), theirs(x))
        commit_running_moments(ours)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x))


def test_running_moments_move_once_a_step_by_the_mean_over_groups() -> None:
    norm = SubBatchNorm(4).double()
    x = batch(4)
    for video in x.split(CHUNKS):
        norm(video)
    assert norm.running_mean.count_nonzero() == 0  # nothing before the optimiser's step
    commit_running_moments(norm)
    groups = x.view(4, CHUNKS, 4, 25).transpose(1, 2).flatten(2)  # (group, C, values)
    torch.testing.assert_close(norm.running_mean, 0.05 * groups.mean(2).mean(0))
    torch.testing.assert_close(norm.running_var, 0.95 + 0.05 * groups.var(2).mean(0))


def test_the_authors_average_biased_standard_deviations() -> None:
    """sqrt(variance + eps) of each group; the running one moves 5 % a step (vl_nnbnorm.m)."""
    norm = SubBatchNorm(4).double()
    average_moments(norm, "deviation")
    running = torch.ones(4).double().add(1e-5).sqrt()
    for _ in range(3):
        x = batch(4)
        for video in x.split(CHUNKS):
            norm(video)
        commit_running_moments(norm)
        groups = x.view(4, CHUNKS, 4, 25).transpose(1, 2).flatten(2)  # (group, C, values)
        deviations = (groups.var(2, correction=0) + 1e-5).sqrt()
        running = 0.95 * running + 0.05 * deviations.mean(0)
    torch.testing.assert_close((norm.running_var + 1e-5).sqrt(), running)


def test_what_is_averaged_does_not_change_the_output() -> None:
    norm = random_norm()
    authors = copy.deepcopy(norm)
    average_moments(authors, "deviation")
    x = batch(4)
    assert torch.equal(norm(x), authors(x))


@pytest.mark.parametrize("averages", ["variance", "deviation"])
def test_a_step_without_a_forward_pass_moves_nothing(averages: RunningMoments) -> None:
    norm = random_norm()
    average_moments(norm, averages)
    norm(batch(2))
    commit_running_moments(norm)
    before = copy.deepcopy(norm.state_dict())
    commit_running_moments(norm)
    # Up to the rounding of a square root and its square.
    tolerance = 0 if averages == "variance" else 1e-15
    torch.testing.assert_close(norm.state_dict(), before, rtol=tolerance, atol=0)


def test_a_skipped_step_is_forgotten() -> None:
    norm = random_norm()
    before = copy.deepcopy(norm.state_dict())
    norm(batch(2))
    norm.forget()
    commit_running_moments(norm)
    torch.testing.assert_close(norm.state_dict(), before, rtol=0, atol=0)


def test_evaluation_collects_nothing_and_knows_no_groups() -> None:
    norm = random_norm().eval()
    x = batch(3)
    torch.testing.assert_close(norm(x)[:CHUNKS], norm(x[:CHUNKS]))
    assert norm.collected_groups == 0


def test_fixed_norms_stay_as_they_are_bit_for_bit() -> None:
    norm = random_norm()
    average_moments(norm, "deviation")
    norm(batch(2))
    commit_running_moments(norm)
    before = copy.deepcopy(norm.eval().state_dict())
    for _ in range(100):
        commit_running_moments(norm)
    torch.testing.assert_close(norm.state_dict(), before, rtol=0, atol=0)


def test_refuses_what_has_no_variance() -> None:
    with pytest.raises(UsageError, match="one value per channel"):
        SubBatchNorm(4)(torch.randn(1, 4, 1, 1))


def test_channels_last_survives() -> None:
    x = batch(4).contiguous(memory_format=torch.channels_last)
    y = random_norm()(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
