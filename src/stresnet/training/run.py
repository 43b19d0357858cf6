"""`stresnet train`: data in, one phase after the other, model folders out.

A run's folder:

    run.json                        recipe, all arguments, classes, versions, git commit
    split.csv                       which video was for training, which for testing
    log.csv, tensorboard/           one row for each iteration
    PHASE.checkpoint.safetensors    where the phase stands
    two_stream/, st_resnet/, st_resnet_star/    trained networks, each for `stresnet predict`

The weights kept are those after the last iteration, as in the paper. Which network to use is
chosen on training videos kept back for that (`choice.py`), never on test videos.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from stresnet.data.prepare.ensure import PreparedVideos, ensure_prepared
from stresnet.data.splits.split import VideoItem
from stresnet.device import gpu_errors
from stresnet.errors import DatasetError, UsageError, in_short
from stresnet.files import remove_stale_partials, require_writable
from stresnet.timelines.fit import fit_model
from stresnet.training.checkpoint import checkpoint_path
from stresnet.training.choice import recommend
from stresnet.training.distributed import distributed_context
from stresnet.training.initialisation import (
    NETWORK_OF,
    blend,
    initialise,
    network,
    take_other_stream,
)
from stresnet.training.loading import require_shared_memory
from stresnet.training.loop import PhaseRun, train_phase
from stresnet.training.plan import plan, require_trainable
from stresnet.training.recipe import PHASES, Recipe
from stresnet.training.run_folder import model_card, read_run, used_in, write_run
from stresnet.training.runtime import Execution, own_random_state

logger = logging.getLogger(__name__)


def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Recipe = "quick",
    weights: str | Path | None = None,
    motion_weights: str | Path | None = None,
    fold: int | None = None,
    lists: str | Path | None = None,
    store: str | Path | None = None,
    skip_broken: bool = False,
    phases: Sequence[str] = PHASES,
    seed: int = 0,
    background: str | None = None,
    overlap: str | None = None,
    validate: float = 0,
    execution: Execution = Execution(),  # noqa: B008
) -> Path:
    """Train a recogniser on labelled videos. The same call resumes.

    Started by torchrun, in several processes, it shares the work among them (docs/training.md).

    Args:
        data: folder per class, UCF101, HMDB51, a CSV, or annotated recordings (`open_dataset`).
        out: the run's folder.
        recipe: a name of `stresnet.training.recipes`, or a recipe of your own.
        weights: what the first phase starts from. For both streams: the file of an ImageNet ResNet
            of the recipe's depth, or "OWNER/NAME[/FILE]" of one on the Hugging Face hub. Or a model
            folder; if its classes differ, with new classifiers. "none": random filters. None:
            ImageNet's ResNet-50, which ships, or its first half; other depths need weights.
        motion_weights: the same for the motion stream alone, as the paper starts HMDB51's from
            UCF101's (section 4.1). None: `weights`.
        fold: the fold or official split whose test videos are kept out.
        lists: folder of UCF101's or HMDB51's official split files.
        store: folder of prepared videos, filled as needed. None: `default_store` for the recipe.
        skip_broken: train without the videos that cannot be prepared, instead of stopping.
        phases: some of `PHASES`, in order; each needs the one before, now or in an earlier call.
        seed: of sampling, augmentation, dropout and new filters.
        background: for annotated recordings, the class of unlabelled time; None leaves it out.
        overlap: where segments of different labels overlap, who gets the time: "later", "longer" or
            "drop"; None: they are an error.
        validate: the fraction of the training videos, whole sources, to keep back. At the end the
            networks are compared on them, and for recordings the settings of timelines are fitted.
        execution: device, precision, loader processes, memory.

    Returns:
        The folder of the network to use: the best on the videos kept back, or, if there are none,
        the last phase's, as in the paper.

    Raises:
        DatasetError, UsageError, WeightsError, StoreError, TrainingError, EnvironmentProblem: as
            they say; all that can be known before videos are prepared is checked first.
    """
    out = Path(out)
    with distributed_context(execution.device) as context, own_random_state(context.device):
        # -- All that can be checked before hours of preparation ----------------------------------
        given, execution = execution, execution.resolved(context.device)
        job = plan(data, recipe=recipe, weights=weights, motion_weights=motion_weights,
                   fold=fold, lists=lists, store=store, phases=phases, seed=seed,
                   background=background, overlap=overlap, validate=validate,
                   world_size=context.world_size)  # fmt: skip
        classes = job.split.class_names
        setup = require_trainable(job, out)
        for phase in job.phases:
            require_shared_memory(job.settings(phase), phase.norm_group, execution.workers)
        if context.is_first:
            require_writable(out)
            logger.info(
                f"{len(job.split.train)} videos to train, {len(job.split.test)} kept out"
                f"{f', {len(job.validation)} kept back to choose by' if job.validation else ''}; "
                f"{len(classes)} classes: {in_short(classes)}"
            )
            logger.info(f"prepared videos: {job.store}")
            for warning in job.warnings:
                logger.warning(warning)

        # -- Videos -------------------------------------------------------------------------------
        prepared = None
        if context.is_first:
            if job.validation:
                kept_back = ensure_prepared(
                    job.validation, job.store, **job.recipe.preparing, device=given.device
                )
                kept_back.require_usable(skip_broken=skip_broken)
            prepared = ensure_prepared(
                job.split.train, job.store, **job.recipe.preparing, device=given.device
            )
        sent = prepared and replace(prepared, index={})  # the index is large
        trained = context.gather_objects(sent)[0].kept(skip_broken=skip_broken)
        fingerprint = used_in(setup, trained)
        if prepared is not None:
            preparation = common_preparation(trained, prepared)
            arguments = {
                "data": absolute(data),
                "recipe": job.recipe.as_dict(),
                "weights": _absolute_weights(weights),
                "motion_weights": _absolute_weights(motion_weights),
                "fold": fold,
                "lists": absolute(lists),
                "store": absolute(job.store),
                "skip_broken": skip_broken,
                "phases": list(phases),
                "seed": seed,
                "background": background,
                "overlap": overlap,
                "validate": validate,
                "execution": asdict(given),
            }
            write_run(out, setup, job.split, arguments, job.validation,
                      processes=context.world_size, device=execution.device,
                      precision=execution.precision)  # fmt: skip
            remove_stale_partials(checkpoint_path(out, phase) for phase in PHASES)

        # -- Phases -------------------------------------------------------------------------------
        for phase in job.phases:
            torch.manual_seed(seed)
            net = network(job.recipe, phase, len(classes))
            initialise(net, job.recipe, phase, out, job.weights[phase.name], classes)
            take_other_stream(net, job.recipe, phase, out)
            first = copy.deepcopy(net.state_dict()) if phase.blend < 1 else {}
            dataset = job.samples(phase, trained)
            run = PhaseRun(job.recipe, phase, dataset, out, fingerprint, seed, context, execution)
            group = f"a step of {phase.norm_group} videos at a time"
            with gpu_errors(context.device, group, lower="--recompute"):
                train_phase(net, run)
            if first:
                blend(net, first, phase.blend)
            folder = out / NETWORK_OF[phase.name]
            if context.is_first:
                net.save_pretrained(
                    folder,
                    class_names=classes,
                    preparation=preparation,
                    card=model_card(
                        job.recipe,
                        phase,
                        job.split,
                        network=folder.name,
                        data=Path(data).resolve().name,
                        trained=len(trained),
                        fold=fold,
                    ),
                )
                logger.info(f"{phase.name}: saved {folder}")
            context.gather_objects("saved")  # the next phase starts from it
        if job.validation:
            if context.is_first:
                folder = recommend(out, kept_back, background=background, device=execution.device,
                                   precision=execution.precision)  # fmt: skip
            folder = context.gather_objects(folder)[0]
        elif job.split.of_recordings and context.is_first:
            fit_model(folder, trained, job.store, background=background, device=execution.device,
                      precision=execution.precision)  # fmt: skip
    return folder


def resume(run: str | Path, **changes: Any) -> Path:
    """Resume the latest call of `train` into the folder `run`, with all its arguments.

    Args:
        changes: what may differ on another machine: `weights`, `motion_weights` and `store`, which
            may have moved, and the fields of `Execution`.

    Raises:
        UsageError: there is no run in the folder, or a change is not one of these.
        All that `train` raises.
    """
    arguments = read_run(Path(run))["arguments"]
    if not Path(arguments["data"]).exists():
        raise UsageError(
            f"{run}: its data are not at {arguments['data']} any more",
            remedy="put them back; or give the first command again, with their new place and "
            f"--store {quote(arguments['store'])}",
        )
    of_execution = {field.name for field in fields(Execution)}
    of_machine = {"weights", "motion_weights", "store"}
    if fixed := changes.keys() - of_execution - of_machine:
        raise UsageError(
            f"a resumed run takes its arguments from its folder, but {', '.join(sorted(fixed))} "
            "was given too",
            remedy=f"leave it out; {', '.join(sorted(of_execution | of_machine))} may change",
        )
    execution = arguments.pop("execution") | {
        name: value for name, value in changes.items() if name in of_execution
    }
    arguments |= {name: value for name, value in changes.items() if name in of_machine}
    recipe = Recipe.from_dict(arguments.pop("recipe"))
    return train(
        arguments.pop("data"), run, recipe=recipe, execution=Execution(**execution), **arguments
    )


def common_preparation(items: Sequence[VideoItem], videos: PreparedVideos) -> dict[str, Any]:
    """Return how all of the videos were prepared, which their network's config.json records.

    Raises:
        DatasetError: not all were prepared alike.
        StoreError: a prepared video is damaged.
    """
    first, *others = {item.name: item for item in items}.values()
    preparation = videos.stored(first.name).preparation
    for item in others:
        other = videos.stored(item.name).preparation
        if other != preparation:
            differing = sorted(
                key for key in {*preparation, *other} if preparation.get(key) != other.get(key)
            )
            raise DatasetError(
                f"{videos.store}: videos were prepared in different ways: {first.name} and "
                f"{item.name} differ in {', '.join(differing)}",
                remedy="prepare all of them the same way, into a store of their own",
            )
    return dict(preparation)


def absolute(path: str | Path | None) -> str | None:
    """Return a path as run.json holds it, valid in any working directory."""
    return None if path is None else str(Path(path).absolute())


def _absolute_weights(weights: str | Path | None) -> str | None:
    """`absolute` for weights, which may be the name of something that is not here."""
    is_here = weights is not None and Path(weights).exists()
    return absolute(weights) if is_here or weights is None else str(weights)
