"""Eq. 2 written by hand, its ablations, and where the gradient flows."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.errors import UsageError
from stresnet.inference import InferenceNetwork
from stresnet.model import STResNet, inflate_from
from stresnet.model.motion_residual import (
    CONNECTIONS,
    Entrance,
    MotionConnection,
    MotionResidual,
    ResidualScale,
)
from stresnet.model.residual_unit import ResidualUnit

VARIANTS = list(CONNECTIONS)


@pytest.fixture
def sums() -> tuple[Tensor, Tensor]:
    """x_a and x_m: sums before f, of both signs."""
    x_a, x_m = torch.randn(2, 3, 8, 5, 5).double()
    return x_a, x_m


def entrances(variant: MotionResidual, x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    return MotionConnection(variant, "none", 8)(x_a, x_m)


def test_equation_2(sums: tuple[Tensor, Tensor]) -> None:
    x_a, x_m = sums
    unit = ResidualUnit(8, 2).double().eval()
    into_a, _ = entrances("appearance", x_a, x_m)
    by_hand = F.relu(x_a) + unit.branch(x_a + F.relu(x_m), 3)  # x_a itself, before its ReLU
    torch.testing.assert_close(unit(into_a.shortcut, 3, into_a.branch), by_hand)


def test_each_variant_is_its_definition(sums: tuple[Tensor, Tensor]) -> None:
    x_a, x_m = sums
    f_a, f_m = F.relu(x_a), F.relu(x_m)
    trunk = F.relu(x_a + f_m)
    definitions = {
        "appearance": ((f_a, x_a + f_m), (f_m, f_m)),
        "bidirectional": ((f_a, x_a + f_m), (f_m, x_m + f_a)),
        "direct": ((trunk, trunk), (f_m, f_m)),
        "multiplicative": ((f_a, x_a * f_m), (f_m, f_m)),
        None: ((f_a, f_a), (f_m, f_m)),
    }
    for variant, expected in definitions.items():
        torch.testing.assert_close(
            [tuple(each) for each in entrances(variant, x_a, x_m)], list(expected)
        )


def test_the_sums_stay_as_they_were(sums: tuple[Tensor, Tensor]) -> None:
    before = [x.clone() for x in sums]
    for variant in VARIANTS:
        entrances(variant, *sums)
    torch.testing.assert_close(list(sums), before, rtol=0, atol=0)


def build(variant: MotionResidual) -> STResNet:
    torch.manual_seed(0)
    return STResNet(3, "tiny", input_size=32, motion_residual=variant).eval()


def clip() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    rgb = torch.randint(0, 256, (1, 2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return rgb, torch.randint(0, 256, (1, 2, 20, 32, 32), generator=generator, dtype=torch.uint8)


def test_every_variant_computes_another_appearance() -> None:
    scores = torch.stack([build(variant)(*clip())[0].flatten() for variant in VARIANTS])
    distances = torch.cdist(scores, scores) + torch.eye(len(scores))
    assert distances.min() > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_who_learns_from_whose_loss(variant: MotionResidual) -> None:
    def reaches(logits: Tensor, net: STResNet, stream: str) -> bool:
        net.zero_grad(set_to_none=True)
        logits.square().sum().backward()
        grad = net.get_submodule(stream).conv1.weight.grad
        return grad is not None and bool(grad.count_nonzero())

    net = build(variant)
    assert reaches(net(*clip())[0], net, "appearance")
    assert reaches(net(*clip())[0], net, "motion") == (variant is not None)  # Eq. 4
    assert reaches(net(*clip())[1], net, "appearance") == (variant == "bidirectional")


def test_four_connections_before_the_second_units() -> None:
    net = build("appearance")
    entered: list[str] = []
    for name, unit in net.named_modules():
        if isinstance(unit, ResidualUnit):

            def watch(_: object, inputs: tuple[object, ...], name: str = name) -> None:
                if len(inputs) == 3 and inputs[2] is not inputs[0]:
                    entered.append(name)

            unit.register_forward_pre_hook(watch)
    net(*clip())
    assert entered == [f"appearance.conv{stage}_x.1" for stage in (2, 3, 4, 5)]


def test_without_a_connection_the_streams_are_alone() -> None:
    net = build(None)
    rgb, flow = clip()
    appearance, motion = net(rgb, flow)
    torch.testing.assert_close(appearance, net.appearance(rgb))
    torch.testing.assert_close(motion, net.motion(flow))


def test_refuses_another_name() -> None:
    with pytest.raises(UsageError, match="'sum', expected one of 'appearance'"):
        STResNet(3, "tiny", motion_residual="sum")  # type: ignore[arg-type]


def joined(residual_scale: ResidualScale, variant: MotionResidual) -> STResNet:
    """An ST-ResNet that starts where the streams of `build(None)`, without Eq. 5, stand."""
    net = STResNet(
        3, "tiny", input_size=32, motion_residual=variant, residual_scale=residual_scale
    ).eval()
    inflate_from(net, two_streams().state_dict(), temporal_init="identity")
    return net


def two_streams() -> STResNet:
    torch.manual_seed(0)
    return STResNet(
        3, "tiny", input_size=32, motion_residual=None, temporal_convolutions=False
    ).eval()


@pytest.mark.parametrize("scale", ["stage", "channel"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_starts_where_the_two_streams_stand(
    scale: ResidualScale, variant: MotionResidual
) -> None:
    torch.testing.assert_close(joined(scale, variant)(*clip()), two_streams()(*clip()))


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant])
def test_a_factor_of_one_is_the_connection_itself(variant: MotionResidual) -> None:
    scaled, plain = joined("channel", variant), joined("none", variant)
    for connection in scaled.connections:
        nn.init.ones_(connection.scale)
    expected = plain(*clip())
    torch.testing.assert_close(scaled(*clip()), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(InferenceNetwork(scaled)(*clip()), expected, rtol=1e-4, atol=1e-4)


def test_where_nothing_enters_nothing_is_computed(sums: tuple[Tensor, Tensor]) -> None:
    _, into_m = MotionConnection("appearance", "channel", 8).double()(*sums)
    assert into_m.branch is into_m.shortcut


def test_factors_learn_from_the_first_step_on() -> None:
    net = joined("channel", "appearance")
    net(*clip())[0].square().sum().backward()
    for connection in net.connections:
        assert connection.scale.shape[1:] == (1, 1)
        assert connection.scale.grad is not None and connection.scale.grad.count_nonzero()
    assert not any("scale" in name for name in two_streams().state_dict())
