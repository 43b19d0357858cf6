"""What a reproduction takes: hours, gigabytes and steps, from a few trials on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stresnet.data.loading.dataset import InMemoryVideo
from stresnet.data.prepare.estimate import Forecast, dry_run
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.models import OF_A_RUN
from stresnet.evaluation.protocols import PAPER
from stresnet.model.stream import POOL_WINDOW
from stresnet.reproduction.job import Job
from stresnet.reproduction.run import check_data
from stresnet.training.distributed import Place, joined
from stresnet.training.estimate import PhasePlan
from stresnet.training.initialisation import network
from stresnet.training.recipes import Recipe
from stresnet.training.run import plan
from stresnet.training.runtime import Execution, precision_of

TRIED_FRAMES = 40  # of the noise that is scored
WEIGHT_BYTES = 4


@dataclass(frozen=True)
class Needs:
    """What it takes.

    Attributes:
        preparation: of all videos, once.
        phases: of one split; the others take the same.
        splits: how many.
        scoring_hours: to test all networks on all splits.
        run_bytes: of all splits' networks and checkpoints.
    """

    preparation: Forecast
    phases: tuple[PhasePlan, ...]
    splits: int
    scoring_hours: float
    run_bytes: int

    @property
    def training_hours(self) -> float:
        return self.splits * sum(phase.hours for phase in self.phases)

    @property
    def hours(self) -> float:
        """Of everything that is left to do, if nothing is trained yet."""
        return self.preparation.hours + self.training_hours + self.scoring_hours


def forecast(job: Job, *, say: Callable[[str], None] = print) -> Needs:
    """Try a little of each step; nothing is written to `job.out`.

    Raises:
        DatasetError: the data cannot be used.
        UsageError: an argument makes no sense.
    """
    check_data(job, say)
    say("trying a little of each step: minutes on a CPU")
    recipe, first = job.full_recipe, job.split(job.splits[0])
    videos = [(item.path, item.name) for item in job.videos()]
    preparation = dry_run(videos, job.store_folder)
    with joined(job.device) as place:
        phases = plan(
            recipe,
            recipe.phases,
            first,
            job.store_folder,
            job.seed,
            place,
            Execution(precision_of(job.precision, place.device)),
            job.workers,
            say,
        )
        seconds = scoring_seconds(recipe, len(first.class_names), place)
    tested = sum(len(job.split(number).test) for number in job.splits)
    return Needs(
        preparation,
        tuple(phases),
        len(job.splits),
        scoring_hours=seconds * tested * len(OF_A_RUN) / 3600,
        run_bytes=len(job.splits) * run_bytes(recipe, len(first.class_names)),
    )


def scoring_seconds(recipe: Recipe, num_classes: int, place: Place) -> float:
    """Seconds to score a video of 4:3 by the paper's protocol; a fifth of its chunks are timed."""
    net = network(recipe, recipe.phases[-1], num_classes).to(place.device)
    height, width = 256, 340
    noise = np.random.default_rng(0)
    video = InMemoryVideo(
        noise.integers(0, 256, (TRIED_FRAMES, height, width, 3), np.uint8),
        noise.integers(0, 256, (TRIED_FRAMES - 1, 2, height, width), np.uint8),
    )
    few = PAPER.with_chunks(POOL_WINDOW)
    score_video(net, video, protocol=few)  # warms caches up
    began = time.perf_counter()
    score_video(net, video, protocol=few)
    return (time.perf_counter() - began) * PAPER.chunks / few.chunks


def run_bytes(recipe: Recipe, num_classes: int) -> int:
    """Of one split's networks and checkpoints; the latter hold the optimiser's moments too."""
    net = network(recipe, recipe.phases[-1], num_classes)
    weights = WEIGHT_BYTES * sum(parameter.numel() for parameter in net.parameters())
    moments = 2 if recipe.optimizer == "adamw" else 1
    checkpoints = 3  # two of single streams are about as large as one of both
    return weights * (len(OF_A_RUN) + checkpoints * (1 + moments))
