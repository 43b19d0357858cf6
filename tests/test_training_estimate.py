"""The estimate of a training describes what the training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stresnet.errors import UsageError
from stresnet.training.distributed import DistributedContext
from stresnet.training.estimate import PhaseEstimate, estimate_phase, kept_for_backward
from stresnet.training.recipe import Phase
from stresnet.training.runtime import Execution
from tiny_data import toy_store
from toy_training import ALONE, PHASE, RECIPE, Items, make_net, make_run


def estimate(
    items: Items,
    folder: Path,
    *,
    workers: int = 0,
    recompute: bool = False,
    context: DistributedContext = ALONE,
    phase: Phase = PHASE,
) -> PhaseEstimate:
    return estimate_phase(
        RECIPE,
        phase,
        num_classes=2,
        videos=8,
        dataset=make_run(items, folder).dataset,
        context=context,
        execution=Execution("cpu", "fp32", workers, recompute=recompute),
    )


def test_an_estimate_counts_steps_and_estimates_time_and_memory(tmp_path: Path) -> None:
    items = toy_store(tmp_path / "store", videos=1)
    estimated = estimate(items, tmp_path / "run")
    assert estimated.load is not None
    seconds = (estimated.compute + estimated.load) * PHASE.batch * PHASE.iterations
    assert estimated.hours == pytest.approx(seconds / 3600)
    assert "5 iterations of 4 videos in 2 groups, each video 2.5 times" in str(estimated)

    lean = estimate(items, tmp_path / "run", recompute=True)
    assert lean.memory < estimated.memory


def test_a_phase_whose_classifier_alone_learns_is_estimated_as_that(tmp_path: Path) -> None:
    items = toy_store(tmp_path / "store", videos=1)
    whole = estimate(items, tmp_path / "run")
    head = estimate(items, tmp_path / "run", phase=replace(PHASE, learns="classifier"))
    weights = sum(4 * parameter.numel() for parameter in make_net().parameters())
    # Gradients and momentum of the classifier only, and hardly an activation is kept.
    assert weights < head.memory < 1.1 * weights
    assert whole.memory > 3 * weights


def test_loading_ahead_hides_behind_training_and_processes_share_it(tmp_path: Path) -> None:
    items = toy_store(tmp_path / "store", videos=1)
    estimated = estimate(items, tmp_path / "run", workers=1, context=replace(ALONE, world_size=2))
    assert estimated.load is not None
    seconds = max(estimated.compute, estimated.load) * PHASE.batch * PHASE.iterations / 2
    assert estimated.hours == pytest.approx(seconds / 3600)
    with pytest.raises(UsageError, match="at most 2 processes"):
        estimate(items, tmp_path / "run", context=replace(ALONE, world_size=3))


def test_before_anything_is_prepared_loading_is_not_timed(tmp_path: Path) -> None:
    estimated = estimate([], tmp_path / "run")
    assert estimated.load is None
    assert "not timed to load" in str(estimated)


def test_what_backward_needs_is_counted_once() -> None:
    x = torch.ones(1000, requires_grad=True)
    # Keeps the exponential, for exp and for the product, and x.
    assert kept_for_backward(lambda: x.exp() * x) == 2 * 4000
