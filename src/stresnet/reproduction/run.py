"""prepare -> train every split -> evaluate: the paper's Table 3, ours beside it.

The folder `out`:

    done.json                    which steps are done, and with which arguments
    store/                       prepared videos
    split1/, split2/, split3/    runs of `stresnet train`
    report/                      `stresnet evaluate` of all networks on all splits
    tables.md                    Tables 3 and 4

Every step is the Python function of the verb of its name, which goes on where it was killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.splits.split import check
from stresnet.errors import UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.paper_numbers import benchmark_of
from stresnet.evaluation.report import write_report
from stresnet.files import atomic_write
from stresnet.model.model_folder import CONFIG
from stresnet.reproduction.job import Job
from stresnet.reproduction.steps import Step, run_steps
from stresnet.reproduction.tables import markdown
from stresnet.training.run import train

Say = Callable[[str], None]


def reproduce(job: Job, *, say: Say = print) -> dict[str, Any]:
    """Do all that is not done yet; called again after a stop at any moment, go on.

    Returns:
        The numbers of report/report.json.

    Raises:
        UsageError: no weights for a network that has none of its own, or several processes.
        DatasetError, WeightsError, StoreError, TrainingError, EnvironmentProblem: as they say.
    """
    require_one_process(job)
    require_weights(job)
    check_data(job, say)
    run_steps(steps(job, say), job.out / "done.json", say)
    said: dict[str, Any] = json.loads((job.out / "report" / "report.json").read_text("utf-8"))
    with atomic_write(job.out / "tables.md") as path:
        path.write_text(markdown(said, job.name), encoding="utf-8")
    return said


def steps(job: Job, say: Say) -> list[Step]:
    """The whole experiment, in order."""
    splits = {"splits": list(job.splits)}
    preparing = Step(
        "prepare", job.of_data() | splits, job.store_folder, partial(prepare_videos, job, say)
    )
    training = [
        Step(
            f"train split {number}",
            job.of_training(number),
            job.run_folder(number) / "st_resnet_star" / CONFIG,
            partial(train_split, job, number, say),
        )
        for number in job.splits
    ]
    evaluating = Step(
        "evaluate", splits, job.out / "report" / "report.json", partial(evaluate_splits, job, say)
    )
    return [preparing, *training, evaluating]


def prepare_videos(job: Job, say: Say) -> None:
    """All videos of all splits, so that a broken one is found before days of training."""
    videos = job.videos()
    ensure_prepared(videos, job.store_folder).kept(skip_broken=job.skip_broken)


def train_split(job: Job, number: int, say: Say) -> None:
    """All phases; the folder is an ordinary run, so `stresnet train` may have done it already."""
    train(
        job.root,
        job.run_folder(number),
        recipe=job.full_recipe,
        weights=job.weights,
        motion_weights=job.motion_start(number),
        fold=number,
        lists=job.lists_folder,
        store=job.store_folder,
        skip_broken=job.skip_broken,
        seed=job.seed,
        workers=job.workers,
        device=job.device,
        precision=job.precision,
        say=say,
    )


def evaluate_splits(job: Job, say: Say) -> None:
    """Every network on every split, by the paper's protocol in float32."""
    report = job.out / "report"
    comparison = evaluate(
        job.run_folder(),
        job.root,
        out=report,
        fold=job.splits,
        lists=job.lists_folder,
        store=job.store_folder,
        device=job.device,
        precision="fp32",
    )
    write_report(comparison, report)


def check_data(job: Job, say: Say) -> None:
    """Look at every split before the long work.

    Raises:
        DatasetError: a split cannot be used.
    """
    splits = {number: job.split(number) for number in job.splits}
    for number, split in splits.items():
        for warning in check(split, job.store_folder):
            say(f"warning: split {number}: {warning}")
    class_names = splits[job.splits[0]].class_names
    if benchmark_of(class_names) != job.name:
        say(
            f"warning: these {len(class_names)} classes are not {job.name}'s: the paper's numbers "
            "are of another task"
        )
    if job.benchmark == "hmdb51" and job.motion_weights is None:
        say(
            "warning: the paper starts HMDB51's motion stream from UCF101's (section 4.1), which "
            "--motion-weights would give; this one starts from --weights"
        )


def require_weights(job: Job) -> None:
    """Raise `UsageError` if the network would start from noise."""
    if job.weights is None and job.full_recipe.depth != "tiny":
        raise UsageError(
            f"the recipe {job.full_recipe.name} starts from an ImageNet ResNet-"
            f"{job.full_recipe.depth}, and no --weights were given",
            remedy="name its file: .safetensors, .pth, .npz or .mat, with torchvision's, timm's or "
            "Caffe's names",
        )


def require_one_process(job: Job) -> None:
    """Raise `UsageError` if torchrun started several processes: only training has work for them."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "reproduce runs in one process",
            remedy="train the splits by `torchrun ... -m stresnet train` into the folders "
            f"{job.run_folder('1')}, ... with the same arguments; reproduce takes them as done",
        )
