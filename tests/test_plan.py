"""The plan of a training says what the training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stresnet.errors import UsageError
from stresnet.training.distributed import Place
from stresnet.training.estimate import KeptForBackward, PhasePlan, plan_lines, plan_phase
from stresnet.training.recipe import Phase
from stresnet.training.runtime import Execution
from tiny_data import toy_store
from toy_training import ALONE, PHASE, RECIPE, Items, make_run


def plan(
    items: Items,
    folder: Path,
    *,
    workers: int = 0,
    recompute: bool = False,
    place: Place = ALONE,
    phase: Phase = PHASE,
) -> PhasePlan:
    return plan_phase(
        RECIPE,
        phase,
        num_classes=2,
        videos=8,
        dataset=make_run(items, folder).dataset,
        place=place,
        execution=Execution(recompute=recompute),
        workers=workers,
    )


def test_a_plan_counts_steps_and_estimates_time_and_memory(tmp_path: Path) -> None:
    items = toy_store(tmp_path / "store", videos=1)
    planned = plan(items, tmp_path / "run")
    assert planned.load is not None
    seconds = (planned.compute + planned.load) * PHASE.batch * PHASE.iterations
    assert planned.hours == pytest.approx(seconds / 3600)
    assert "5 iterations of 4 videos in 2 groups; 20 samples, each video 2.5 times" in str(planned)
    (line, total) = plan_lines([planned], ALONE)
    assert line == str(planned)
    assert "in all" in total

    lean = plan(items, tmp_path / "run", recompute=True)
    assert lean.memory < planned.memory


def test_loading_ahead_hides_behind_training_and_processes_share_it(tmp_path: Path) -> None:
    items = toy_store(tmp_path / "store", videos=1)
    planned = plan(items, tmp_path / "run", workers=1, place=replace(ALONE, processes=2))
    assert planned.load is not None
    seconds = max(planned.compute, planned.load) * PHASE.batch * PHASE.iterations / 2
    assert planned.hours == pytest.approx(seconds / 3600)
    with pytest.raises(UsageError, match="at most 2 processes"):
        plan(items, tmp_path / "run", place=replace(ALONE, processes=3))


def test_before_anything_is_prepared_loading_is_not_timed(tmp_path: Path) -> None:
    planned = plan([], tmp_path / "run")
    assert planned.load is None
    assert "not timed to load" in str(planned)


def test_what_backward_needs_is_counted_once() -> None:
    kept = KeptForBackward()
    x = torch.ones(1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(kept.note, lambda tensor: tensor):
        _ = x.exp() * x  # keeps the exponential, for exp and for the product, and x
    assert kept.bytes == 2 * 4000
