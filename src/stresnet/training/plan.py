"""A training run, planned: its arguments checked, its data opened, its first weights found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stresnet.data.loading.chunks import Modality, frames_in
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, TrainingItem
from stresnet.data.splits.annotated import Recordings
from stresnet.data.splits.checks import check
from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import Split, VideoItem
from stresnet.data.store.index import place_of
from stresnet.data.store.location import default_store
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError
from stresnet.training.choice import keep_back
from stresnet.training.initialisation import digest_of, find_initial_weights, require_weights
from stresnet.training.loop import groups_a_step
from stresnet.training.recipe import PHASES, Phase, Recipe
from stresnet.training.recipes import recipe_named
from stresnet.training.run_folder import require_same_run, setup_of
from stresnet.training.runtime import own_random_state

MODALITY_OF: dict[str | None, Modality] = {"appearance": "rgb", "motion": "flow", None: "both"}


@dataclass(frozen=True)
class TrainingPlan:
    """A training run whose arguments make sense.

    Attributes:
        phases: to train now, in order.
        weights: what each of the recipe's phases starts from, by its name, as found.
        validation: training videos kept back, to recommend a network by.
        warnings: what is suspicious about the data.
    """

    recipe: Recipe
    phases: tuple[Phase, ...]
    split: Split
    store: Path
    weights: dict[str, str | Path | None]
    validation: tuple[VideoItem, ...]
    seed: int
    warnings: tuple[str, ...]

    def samples(self, phase: Phase, items: Sequence[VideoItem]) -> ChunkDataset:
        """Return a phase's training samples; a phase of one stream does not decode the other's."""
        times: dict[str, NDArray[np.float64]] = {}
        labelled = []
        for item in items:
            place, frames = place_of(self.store, item.name), None
            if item.span:
                if item.name not in times:
                    times[item.name] = StoredVideo(place).times
                frames = frames_in(times[item.name], *item.span)
            labelled.append(TrainingItem(place, self.split.class_names.index(item.label), frames))
        return ChunkDataset(labelled, self.settings(phase), seed=self.seed, open_video=StoredVideo)

    def settings(self, phase: Phase) -> ChunkSettings:
        """Return how a phase draws chunks from a video."""
        return ChunkSettings(
            phase.chunks,
            phase.tau,
            phase.crop,
            self.recipe.input_size,
            MODALITY_OF[phase.stream],
            tau_group=phase.norm_group if phase.shared_tau else 1,
        )


def plan(
    data: str | Path,
    *,
    recipe: str | Recipe = "quick",
    weights: str | Path | None = None,
    motion_weights: str | Path | None = None,
    fold: int | None = None,
    lists: str | Path | None = None,
    store: str | Path | None = None,
    phases: Sequence[str] = PHASES,
    seed: int = 0,
    background: str | None = None,
    overlap: str | None = None,
    validate: float = 0,
    world_size: int = 1,
) -> TrainingPlan:
    """Check the arguments of `train`.

    Raises:
        DatasetError, UsageError, WeightsError, EnvironmentProblem: as they say.
    """
    recipe = recipe_named(recipe)
    for name in phases:
        recipe.phase(name)  # raises unless it exists
    if not phases:
        raise UsageError("no phase was given", remedy=f"give some of {', '.join(PHASES)}")
    recordings = Recordings(background, overlap or "error")
    split = open_dataset(Path(data), fold=fold, lists=Path(lists) if lists else None, seed=seed,
                         recordings=recordings)  # fmt: skip
    store = Path(store) if store else default_store(data, **recipe.preparing)
    warnings = check(split, store)
    validation: tuple[VideoItem, ...] = ()
    if validate:
        split, validation = keep_back(split, validate, seed)
    recipe = recipe.for_videos(len(split.train))
    wanted = tuple(recipe.phase(name) for name in phases)
    for phase in wanted:
        groups_a_step(phase, world_size)
    first = find_initial_weights(weights, recipe)
    motion = first if motion_weights is None else find_initial_weights(motion_weights, recipe)
    found: dict[str, str | Path | None] = {
        phase.name: motion if phase.name == "motion" else first for phase in recipe.phases
    }
    return TrainingPlan(recipe, wanted, split, store, found, validation, seed, warnings)


def require_trainable(job: TrainingPlan, out: Path) -> str:
    """Check the first weights, and that `out` holds no other run; return this run's identity.

    Raises:
        UsageError, WeightsError: as they say.
    """
    with own_random_state(torch.device("cpu")):
        require_weights(job.recipe, job.phases, out, job.weights, job.split.class_names)
    digests = {name: digest_of(found) for name, found in job.weights.items()}
    setup = setup_of(job.recipe, job.seed, job.split, digests)
    require_same_run(out, setup, job.recipe, job.seed, job.split)
    return setup
