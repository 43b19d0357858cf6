"""A recipe may have ST-ResNet start where its two streams stand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stresnet.model import STResNet
from stresnet.model.motion_residual import CONNECTIONS, MotionResidual
from stresnet.training.initialisation import initialise, network
from stresnet.training.optimizer import make_optimizer, set_rate
from stresnet.training.recipe import Recipe
from stresnet.training.recipes import QUICK

CLASSES = ("jump", "run", "sit")
ZERO = replace(QUICK, depth="tiny", input_size=32, scale_rate=10.0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with a trained two-stream network."""
    torch.manual_seed(0)
    trained_streams().save_pretrained(tmp_path / "two_stream", class_names=CLASSES)
    return tmp_path


def trained_streams() -> STResNet:
    return network(ZERO, ZERO.phase("motion"), len(CLASSES)).eval()


def started(recipe: Recipe, run: Path, phase: str = "st_resnet") -> STResNet:
    named = next(p for p in recipe.phases if p.name == phase)
    net = network(recipe, named, len(CLASSES))
    initialise(net, recipe, named, run, None, CLASSES)
    return net.eval()


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_iteration_0_has_the_scores_of_the_two_streams(run: Path, kind: MotionResidual) -> None:
    zero = replace(ZERO, motion_residual=kind)
    rgb = torch.randint(0, 256, (2, 5, 3, 32, 32), dtype=torch.uint8)
    flow = torch.randint(0, 256, (2, 5, 20, 32, 32), dtype=torch.uint8)
    torch.manual_seed(0)
    streams = trained_streams()
    before = streams(rgb, flow)
    # In float64, since processors round sums of a 1x1 and of a 3x1 filter otherwise.
    torch.testing.assert_close(
        started(zero, run).double()(rgb, flow), streams.double()(rgb, flow), rtol=1e-10, atol=1e-10
    )
    paper = replace(zero, residual_scale="none", temporal_init="average")
    assert all(
        not torch.allclose(a, b, rtol=1e-2)
        for a, b in zip(started(paper, run)(rgb, flow), before, strict=True)
    )


def test_what_was_learnt_stays_in_the_next_phase(run: Path) -> None:
    net = started(ZERO, run)
    for number, connection in enumerate(net.connections, 1):
        torch.nn.init.constant_(connection.scale, number / 10)
    net.save_pretrained(run / "st_resnet", class_names=CLASSES)
    after = started(ZERO, run, "st_resnet_star").state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in net.state_dict().items())


def test_factors_have_a_rate_of_their_own_and_do_not_decay(run: Path) -> None:
    net = started(ZERO, run)
    optimizer = make_optimizer(net, ZERO, ZERO.phase("st_resnet"))
    set_rate(optimizer, 1e-3)
    factors = {id(connection.scale) for connection in net.connections}
    found = [g for g in optimizer.param_groups if factors & {id(p) for p in g["params"]}]
    assert len(factors) == 4
    assert [(len(g["params"]), g["lr"], g["weight_decay"]) for g in found] == [(4, 1e-2, 0.0)]
