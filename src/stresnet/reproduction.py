"""The paper's experiments on UCF101 and HMDB51, whole: `stresnet reproduce`.

    prepare -> train every split -> evaluate -> Tables 3 and 4, ours beside the paper's

The folder `out`:

    split1/, split2/, split3/    runs of `stresnet train`
    report/                      `stresnet evaluate` of all networks on all splits
    tables.md                    Tables 3 and 4

Every step is the Python function of the verb of that name. Each resumes where it was killed and
quickly finds what is done, and so does the whole.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.estimate import PreparationEstimate, estimate_preparation
from stresnet.data.splits.official import FOLDS, hmdb51, ucf101
from stresnet.data.splits.open import official_lists
from stresnet.data.splits.split import VideoItem
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.models import FOLD
from stresnet.evaluation.paper_numbers import BenchmarkName, benchmark_of, table_3, table_4
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report import write_report
from stresnet.files import write_text
from stresnet.training.estimate import PhaseEstimate, estimate_training
from stresnet.training.plan import TrainingPlan, plan, require_trainable
from stresnet.training.recipe import Recipe
from stresnet.training.recipes import recipe_named
from stresnet.training.run import train
from stresnet.training.runtime import Execution

READERS = {"ucf101": ucf101, "hmdb51": hmdb51}
NAMES: dict[str, BenchmarkName] = {"ucf101": "UCF101", "hmdb51": "HMDB51"}
Cells = list[list[str]]  # the first row is the header

# Table 3's columns: what it calls them, the network, and the row of ours.
COLUMNS = (
    ("appearance", "two-stream", "appearance"),
    ("motion", "two-stream", "motion"),
    ("two-stream", "two-stream", "fused"),
    ("ST-ResNet", "ST-ResNet", "fused"),
    ("ST-ResNet*", "ST-ResNet*", "fused"),
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to reproduce: one data set, one recipe, some of the three splits.

    Attributes:
        benchmark: "ucf101" or "hmdb51".
        root: folder of the videos, CLASS/video.avi.
        out: folder for everything that is made.
        lists: folder of the official split files; None: `root` or a folder in it.
        recipe: a name of `stresnet.training.recipes`, or a recipe of your own.
        splits: some of 1, 2 and 3.
        weights, motion_weights: as in `train`, with "{fold}" for the split's number. (Section 4.1
            starts HMDB51's motion stream from UCF101's: "runs/ucf101/split{fold}/two_stream".)
        store, skip_broken, seed, execution: as in `train`.

    Raises:
        UsageError: no such data set, recipe or split.
    """

    benchmark: str
    root: Path
    out: Path
    lists: Path | None = None
    recipe: str | Recipe = "paper"
    splits: tuple[int, ...] = FOLDS
    weights: str | Path | None = None
    motion_weights: str | Path | None = None
    store: Path | None = None
    skip_broken: bool = False
    seed: int = 0
    execution: Execution = Execution()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        if self.benchmark not in READERS:
            raise UsageError(f"{self.benchmark!r} is not one of {', '.join(READERS)}")
        if not self.splits or not set(self.splits) <= set(FOLDS):
            raise UsageError(f"splits {self.splits}; expected some of 1, 2 and 3")
        recipe_named(self.recipe)

    @property
    def name(self) -> BenchmarkName:
        """The data set as the paper writes it."""
        return NAMES[self.benchmark]

    def run_folder(self, split: int | str = FOLD) -> Path:
        """Where `train` puts a split's networks; of all splits, with `{fold}` for the number."""
        return self.out / f"split{split}"

    def training(self, split: int) -> dict[str, Any]:
        """Return the arguments of `train` that decide what a split's networks learn.

        Raises:
            DatasetError: the official lists are missing, or another data set's.
        """
        found = official_lists(self.root, self.lists)
        if not found or found[0] is not READERS[self.benchmark]:
            raise DatasetError(
                f"{self.lists or self.root}: holds no official lists of {self.name}",
                remedy="name their folder: --lists",
            )
        weights, motion_weights = (
            None if given is None else type(given)(str(given).replace(FOLD, str(split)))
            for given in (self.weights, self.motion_weights)
        )
        return {
            "recipe": self.recipe,
            "weights": weights,
            "motion_weights": motion_weights,
            "fold": split,
            "lists": found[1],
            "store": self.store,
            "seed": self.seed,
        }

    def plans(self) -> dict[int, TrainingPlan]:
        """Return each split's training, its data opened and its first weights found."""
        return {split: plan(self.root, **self.training(split)) for split in self.splits}


def reproduce(job: Job) -> dict[str, Any]:
    """Do all that is not done yet. The same call resumes.

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
    plans = job.plans()
    for split, planned in plans.items():  # all that is wrong is found before days of work
        require_trainable(planned, job.run_folder(split))
    first = plans[job.splits[0]]
    if benchmark_of(first.split.class_names) != job.name:
        logger.warning(
            f"these {len(first.split.class_names)} classes are not {job.name}'s: the paper's "
            "numbers are of another task"
        )
    if job.benchmark == "hmdb51" and job.motion_weights is None:
        logger.warning(
            "the paper starts HMDB51's motion stream from UCF101's (section 4.1), which "
            "--motion-weights would give; this one starts from --weights"
        )
    logger.info("prepare: the videos of all splits")
    preparing = first.recipe.preparing
    prepared = ensure_prepared(
        videos_of(plans.values()), first.store, **preparing, device=job.execution.device
    )
    prepared.kept(skip_broken=job.skip_broken)
    for split in job.splits:
        logger.info(f"train: split {split}")
        train(
            job.root,
            job.run_folder(split),
            skip_broken=job.skip_broken,
            execution=job.execution,
            **job.training(split),
        )
    logger.info("evaluate: all networks on all splits, by the paper's protocol in float32")
    report = job.out / "report"
    comparison = evaluate(
        job.run_folder(),
        job.root,
        out=report,
        fold=job.splits,
        lists=job.lists,
        store=first.store,
        device=job.execution.device,
        precision="fp32",
    )
    write_report(comparison, report)
    numbers: dict[str, Any] = json.loads((report / "report.json").read_text("utf-8"))
    write_text(job.out / "tables.md", markdown(numbers, job.name))
    return numbers


def videos_of(plans: Iterable[TrainingPlan]) -> list[VideoItem]:
    """Return the videos of all splits, each once, by name."""
    items = {item.name: item for it in plans for item in it.split.train + it.split.test}
    return [items[name] for name in sorted(items)]


def estimate_reproduction(job: Job) -> tuple[PreparationEstimate, list[PhaseEstimate]]:
    """Estimate the preparation of all videos and the training of one split; others take the same.

    Tries a little of each: minutes on a CPU. Nothing is written. The evaluation, which is short
    compared with the training, is not estimated.

    Raises:
        DatasetError, UsageError, WeightsError: as in `reproduce`.
    """
    plans = job.plans()
    first = plans[job.splits[0]]
    videos = [(item.path, item.name) for item in videos_of(plans.values())]
    return (
        estimate_preparation(
            videos, first.store, **first.recipe.preparing, device=job.execution.device
        ),
        estimate_training(first, job.execution),
    )


def third_table(numbers: dict[str, Any], benchmark: BenchmarkName) -> Cells:
    """Top-1 accuracies in per cent: the paper's means, ours, and ours split by split."""
    folds = numbers["folds"]
    which = (
        f"split {folds[0]}" if len(folds) == 1 else f"mean of splits {', '.join(map(str, folds))}"
    )
    theirs = [table_3(benchmark, network, row) for _, network, row in COLUMNS]
    of_splits = [
        [f"split {split}", *(_ours(numbers, network, row, place) for _, network, row in COLUMNS)]
        for place, split in enumerate(folds)
    ]
    return [
        [benchmark, *(name for name, _, _ in COLUMNS)],
        ["paper, mean of 3 splits", *("–" if it is None else f"{it:.2f}" for it in theirs)],
        [f"ours, {which}", *(_ours(numbers, network, row) for _, network, row in COLUMNS)],
        *(of_splits if len(of_splits) > 1 else []),
    ]


def fourth_table(numbers: dict[str, Any], benchmark: BenchmarkName) -> Cells:
    """The paper's comparison with others; ours where we have that row."""
    ours = {"ST-ResNet*": _ours(numbers, "ST-ResNet*", "fused")}
    return [
        [benchmark, "paper", "ours"],
        *(
            [method, f"{theirs:.1f}", ours.get(method, "–")]
            for method, theirs in table_4(benchmark).items()
        ),
    ]


def markdown(numbers: dict[str, Any], benchmark: BenchmarkName) -> str:
    """Both tables as text."""
    parts = [
        "# Table 3: top-1 accuracy, %\n",
        _markdown(third_table(numbers, benchmark)),
        "# Table 4: top-1 accuracy, %\n",
        _markdown(fourth_table(numbers, benchmark)),
        "Intervals, confusions and the hardest videos: report/index.html.",
    ]
    return "\n".join(parts) + "\n"


def _ours(numbers: dict[str, Any], network: str, row: str, place: int | None = None) -> str:
    """The mean over the splits, or the accuracy on the split at `place`; – where not measured."""
    for line in numbers["table"]:
        if (line["network"], line["row"], line["protocol"]) == (network, row, PAPER.name):
            fraction = line["top1"]["value"] if place is None else line["of_folds"][place]
            return f"{100 * fraction:.2f}"
    return "–"


def _markdown(cells: Cells) -> str:
    header, *rows = cells
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
