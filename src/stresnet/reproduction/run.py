"""prepare -> train every split -> evaluate: the paper's Table 3, ours beside it.

The folder `out`:

    split1/, split2/, split3/    runs of `stresnet train`
    report/                      `stresnet evaluate` of all networks on all splits
    tables.md                    Tables 3 and 4

Every step is the Python function of the verb of its name. Each resumes where it was killed, and
finds quickly that all is done; so the whole does, too.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stresnet.data.loading.dataset import InMemoryVideo
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.estimate import PreparationEstimate, estimate_preparation
from stresnet.device import resolve_device
from stresnet.errors import UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.models import OF_A_RUN
from stresnet.evaluation.paper_numbers import benchmark_of
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report import write_report
from stresnet.files import atomic_write
from stresnet.model.stream import POOL_WINDOW
from stresnet.reproduction.job import Job
from stresnet.reproduction.tables import markdown
from stresnet.training.estimate import PhaseEstimate, estimate_training
from stresnet.training.initialisation import network
from stresnet.training.recipes import Recipe
from stresnet.training.run import plan, require_trainable, train

TRIED_FRAMES = 40  # of the noise that is scored

logger = logging.getLogger(__name__)


def reproduce(job: Job) -> dict[str, Any]:
    """Do all that is not done yet. The same call again resumes.

    Returns:
        The numbers of report/report.json.

    Raises:
        UsageError: several processes, for which only training has work, or no first weights.
        DatasetError, WeightsError, StoreError, TrainingError, EnvironmentProblem: as they say.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "reproduce runs in one process",
            remedy="train the splits by `torchrun ... -m stresnet train` into the folders "
            f"{job.run_folder('1')}, ... with the same arguments; reproduce takes them as done",
        )
    for number in job.splits:  # all that is wrong is found before days of work
        training = plan(job.root, **job.training(number))
        require_trainable(training, job.run_folder(number))
    warn_of_other_tasks(job, training.split.class_names)
    logger.info("prepare: the videos of all splits")
    prepared = ensure_prepared(job.videos(), job.store_folder, **job.full_recipe.preparing)
    prepared.kept(skip_broken=job.skip_broken)
    for number in job.splits:
        logger.info(f"train: split {number}")
        train(
            job.root,
            job.run_folder(number),
            skip_broken=job.skip_broken,
            execution=job.execution,
            **job.training(number),
        )
    logger.info("evaluate: all networks on all splits, by the paper's protocol in float32")
    report = job.out / "report"
    comparison = evaluate(
        job.run_folder(),
        job.root,
        out=report,
        fold=job.splits,
        lists=job.lists_folder,
        store=job.store_folder,
        device=job.execution.device,
        precision="fp32",
    )
    write_report(comparison, report)
    numbers: dict[str, Any] = json.loads((report / "report.json").read_text("utf-8"))
    with atomic_write(job.out / "tables.md") as path:
        path.write_text(markdown(numbers, job.name), encoding="utf-8")
    return numbers


def warn_of_other_tasks(job: Job, class_names: tuple[str, ...]) -> None:
    """Log where numbers beside the paper's would be of something else."""
    if benchmark_of(class_names) != job.name:
        logger.warning(
            f"these {len(class_names)} classes are not {job.name}'s: the paper's numbers are of "
            "another task"
        )
    if job.benchmark == "hmdb51" and job.motion_weights is None:
        logger.warning(
            "the paper starts HMDB51's motion stream from UCF101's (section 4.1), which "
            "--motion-weights would give; this one starts from --weights"
        )


@dataclass(frozen=True)
class ReproductionEstimate:
    """What a reproduction takes.

    Attributes:
        preparation: of all videos, once.
        phases: of one split; the others take the same.
        splits: how many.
        scoring_hours: to test all networks on all splits.
    """

    preparation: PreparationEstimate
    phases: tuple[PhaseEstimate, ...]
    splits: int
    scoring_hours: float

    @property
    def training_hours(self) -> float:
        return self.splits * sum(phase.hours for phase in self.phases)

    @property
    def hours(self) -> float:
        """In all, if nothing is trained yet."""
        return self.preparation.hours + self.training_hours + self.scoring_hours


def estimate_reproduction(job: Job) -> ReproductionEstimate:
    """Try a little of each step: minutes on a CPU. Nothing is written to `job.out`.

    Raises:
        DatasetError: the data cannot be used.
        UsageError: an argument makes no sense.
    """
    videos = job.videos()
    preparation = estimate_preparation(
        [(item.path, item.name) for item in videos], job.store_folder, **job.full_recipe.preparing
    )
    phases = estimate_training(job.root, execution=job.execution, **job.training(job.splits[0]))
    seconds = scoring_seconds(job.full_recipe, job.execution.device)
    tests = sum(len(job.split(number).test) for number in job.splits)
    return ReproductionEstimate(
        preparation, tuple(phases), len(job.splits), seconds * tests * len(OF_A_RUN) / 3600
    )


def scoring_seconds(recipe: Recipe, device: str) -> float:
    """Seconds to score a video of 4:3 by the paper's protocol; a fifth of its chunks are timed."""
    net = network(recipe, recipe.phases[-1], 2).to(resolve_device(device))
    height, width = 256, 340
    noise = np.random.default_rng(0)
    video = InMemoryVideo(
        noise.integers(0, 256, (TRIED_FRAMES, height, width, 3), np.uint8),
        noise.integers(0, 256, (TRIED_FRAMES - 1, 2, height, width), np.uint8),
    )
    few = replace(PAPER, chunks=POOL_WINDOW)
    score_video(net, video, protocol=few)  # warms caches up
    began = time.perf_counter()
    score_video(net, video, protocol=few)
    return (time.perf_counter() - began) * PAPER.chunks / few.chunks
