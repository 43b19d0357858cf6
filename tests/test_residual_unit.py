"""Eq. 1, and where a residual unit strides."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.model.residual_unit import ResidualUnit, StrideIn


def seasoned(unit: ResidualUnit) -> ResidualUnit:
    """In eval mode and float64, with moments unlike 0 and 1."""
    for name, buffer in unit.double().named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return unit.eval()


def normalised(bn: torch.nn.Module, x: Tensor) -> Tensor:
    moments = bn.running_mean, bn.running_var
    return F.batch_norm(x, *moments, bn.weight, bn.bias, eps=1e-5)


def branch_by_hand(unit: ResidualUnit, x: Tensor) -> Tensor:
    x = F.relu(normalised(unit.bn1, F.conv2d(x, unit.conv1.weight)))
    x = F.relu(normalised(unit.bn2, F.conv2d(x, unit.conv2.weight, padding=1)))
    return normalised(unit.bn3, F.conv2d(x, unit.conv3.weight))


def test_equation_1_with_an_identity_shortcut() -> None:
    unit = seasoned(ResidualUnit(8, 2))
    x = torch.randn(3, 8, 5, 5).double()
    torch.testing.assert_close(unit(x, chunks=3), x + branch_by_hand(unit, x))


def test_the_branch_may_see_another_input_than_the_shortcut() -> None:
    unit = seasoned(ResidualUnit(8, 2))
    x, into_branch = torch.randn(2, 3, 8, 5, 5).double()
    torch.testing.assert_close(
        unit(x, 3, branch_input=into_branch), x + branch_by_hand(unit, into_branch)
    )


def test_a_projection_where_the_shape_changes() -> None:
    unit = seasoned(ResidualUnit(3, 2))
    x = torch.randn(2, 3, 5, 5).double()
    shortcut = normalised(unit.project_bn, F.conv2d(x, unit.project.weight))
    torch.testing.assert_close(unit(x, chunks=2), shortcut + branch_by_hand(unit, x))


@pytest.mark.parametrize(("stride_in", "strides"), [("1x1", [2, 1, 1]), ("3x3", [1, 2, 1])])
def test_where_it_strides(stride_in: StrideIn, strides: list[int]) -> None:
    unit = ResidualUnit(8, 2, stride=2, stride_in=stride_in)
    assert [conv.stride[0] for conv in (unit.conv1, unit.conv2, unit.conv3)] == strides
    assert unit.project.stride == (2, 2)
    assert unit(torch.randn(2, 8, 7, 7), chunks=2).shape == (2, 8, 4, 4)


def test_its_inputs_stay_as_they_were() -> None:
    unit = ResidualUnit(8, 2)
    x = torch.randn(2, 8, 3, 3)
    before = x.clone()
    unit(x, chunks=1)
    assert torch.equal(x, before)
