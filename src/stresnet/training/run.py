"""`stresnet train`: data in, every phase one after the other, model folders out.

A run's folder:

    run.json                            recipe, all arguments, classes, versions, git commit
    split.csv                           which video was for training, which for testing
    log.csv, tensorboard/               one row an iteration
    PHASE.checkpoint.safetensors        where the phase stands
    two_stream/, st_resnet/, st_resnet_star/    trained networks, each for `stresnet predict`

The weights kept are those after the last iteration, as in the paper: nothing is selected on
validation or test videos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, Modality
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.many import PREPARATION, store_path
from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import Split, VideoItem, check
from stresnet.data.store.location import default_store
from stresnet.data.store.reader import StoredVideo
from stresnet.files import remove_stale_partials
from stresnet.model.stream import Depth
from stresnet.training.card import model_card
from stresnet.training.distributed import Place, joined
from stresnet.training.estimate import PhasePlan, plan_lines, plan_phase
from stresnet.training.initialisation import NETWORK_OF, network, start_from
from stresnet.training.loop import PhaseRun, checkpoint_path, train_phase
from stresnet.training.recipes import PHASES, Phase, Recipe, recipe_named
from stresnet.training.run_folder import fingerprint_of, open_run, read_run
from stresnet.training.runtime import Execution, precision_of

Say = Callable[[str], None]

MODALITY_OF: dict[str | None, Modality] = {"appearance": "rgb", "motion": "flow", None: "both"}


def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Recipe = "quick",
    depth: Depth | None = None,
    input_size: int | None = None,
    weights: str | Path | None = None,
    motion_weights: str | Path | None = None,
    fold: int | None = None,
    lists: str | Path | None = None,
    store: str | Path | None = None,
    skip_broken: bool = False,
    phases: Sequence[str] = PHASES,
    seed: int = 0,
    workers: int = 1,
    device: str = "auto",
    precision: str = "auto",
    channels_last: bool = True,
    recompute: bool = False,
    compiled: bool = False,
    dry_run: bool = False,
    say: Say = print,
) -> Path:
    """Train a recogniser on labelled videos; called again with the same arguments, it goes on.

    Started by torchrun, in several processes, it shares the work among them (docs/training.md).

    Args:
        data: folder per class, UCF101, HMDB51, or a CSV (see `open_dataset`).
        out: the run's folder.
        recipe: a name of `stresnet.training.recipes`, or a recipe of one's own.
        depth: of the network, where not the recipe's.
        input_size: side of the square training crop, pixels, where not the recipe's.
        weights: what the first phase starts from: the file of an ImageNet ResNet of that depth,
            for both streams, or a model folder (of other classes too: then with new classifiers).
            None: the small network's ImageNet weights, which ship with the package.
        motion_weights: the same for the motion stream alone, as the paper starts HMDB51's from
            UCF101's (section 4.1). None: `weights`.
        fold: the fold or official split whose test videos are kept out.
        lists: folder of UCF101's or HMDB51's official split files.
        store: folder of prepared videos, filled as needed. None: see `default_store`.
        skip_broken: train without the videos that cannot be prepared, instead of stopping.
        phases: some of `PHASES`, in order; each needs the one before, now or in an earlier call.
        seed: of sampling, augmentation, dropout and new filters.
        workers: loader processes; for each training process, if there are several.
        device: "auto", "cpu" or "cuda".
        precision: "auto" (bf16 where the processor multiplies it natively), "bf16-mixed",
            "16-mixed" or "32-true".
        channels_last, recompute, compiled: see `Execution`.
        dry_run: say what each phase will take (samples, steps, memory, hours); write nothing.
        say: receives one plain line at each step of the way.

    Returns:
        The folder of the last phase's network.

    Raises:
        DatasetError, UsageError, WeightsError, StoreError, TrainingError, EnvironmentProblem: as
            they say.
    """
    data, out = Path(data), Path(out)
    recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
    recipe = replace(
        recipe,
        depth=recipe.depth if depth is None else depth,
        input_size=recipe.input_size if input_size is None else input_size,
    )
    wanted = [recipe.phase(name) for name in phases]
    store = Path(store) if store else default_store(data)
    arguments = {  # as run.json holds them
        "data": absolute(data),
        "recipe": recipe.as_dict(),
        "weights": absolute(weights),
        "motion_weights": absolute(motion_weights),
        "fold": fold,
        "lists": absolute(lists),
        "store": absolute(store),
        "skip_broken": skip_broken,
        "phases": list(phases),
        "seed": seed,
        "workers": workers,
        "device": device,
        "precision": precision,
        "channels_last": channels_last,
        "recompute": recompute,
        "compiled": compiled,
    }

    with joined(device) as place:
        say = say if place.is_first else _silent
        precise = precision_of(precision, place.device)
        execution = Execution(precise, channels_last, recompute, compiled)

        # -- Data ---------------------------------------------------------------------------------
        split = open_dataset(data, fold=fold, lists=Path(lists) if lists else None, seed=seed)
        for warning in check(split, store):
            say(f"warning: {warning}")
        say(
            f"{len(split.class_names)} classes, {len(split.train)} videos to train, "
            f"{len(split.test)} kept out"
        )
        if dry_run:
            for line in plan_lines(
                plan(recipe, wanted, split, store, seed, place, execution, workers, say), place
            ):
                say(line)
            return out
        prepared = ensure_prepared(split.train, store) if place.is_first else None
        trained = place.from_first(prepared).kept(skip_broken=skip_broken)

        # -- The run's folder ---------------------------------------------------------------------
        fingerprint = fingerprint_of(recipe, split.class_names, trained, arguments)
        if place.is_first:
            open_run(out, fingerprint, split, arguments, processes=place.processes)
            remove_stale_partials(checkpoint_path(out, phase) for phase in PHASES)

        # -- Phases -------------------------------------------------------------------------------
        for phase in wanted:
            torch.manual_seed(seed)
            net = network(recipe, phase, len(split.class_names))
            first = motion_weights if phase.name == "motion" and motion_weights else weights
            start_from(net, recipe, phase, out, first, split.class_names)
            say(f"{phase.name}: {phase.iterations} iterations of {phase.batch} videos")
            dataset = samples(recipe, phase, trained, split, store, seed)
            train_phase(
                net,
                PhaseRun(recipe, phase, dataset, out, fingerprint, seed, workers, place, execution),
            )
            folder = out / NETWORK_OF[phase.name]
            if place.is_first:
                net.save_pretrained(
                    folder,
                    class_names=split.class_names,
                    preparation=dict(PREPARATION),
                    card=model_card(
                        recipe,
                        phase,
                        network=folder.name,
                        class_names=split.class_names,
                        data=data.name,
                        trained=len(trained),
                        kept_out=len(split.test),
                        fold=fold,
                    ),
                )
            place.from_all("saved")  # the next phase starts from it
            say(f"{phase.name}: saved {folder}")
    return folder


def resume(run: str | Path, *, say: Say = print, **changes: Any) -> Path:
    """Go on with the latest call of `train` into the folder `run`, with all its arguments.

    Args:
        changes: arguments of `train` that concern this machine: workers, device, precision, ...

    Raises:
        UsageError: there is no run in the folder.
        All that `train` raises.
    """
    arguments = read_run(Path(run))["arguments"] | changes
    recipe = Recipe.from_dict(arguments.pop("recipe"))
    return train(arguments.pop("data"), run, recipe=recipe, say=say, **arguments)


def plan(
    recipe: Recipe,
    phases: Sequence[Phase],
    split: Split,
    store: Path,
    seed: int,
    place: Place,
    execution: Execution,
    workers: int,
    say: Say,
) -> list[PhasePlan]:
    """What each phase of a training will take, from videos that are prepared already."""
    there = [item for item in split.train if store_path(store, item.name).exists()]
    say(f"{len(there)} of {len(split.train)} training videos are prepared")
    return [
        plan_phase(
            recipe,
            phase,
            num_classes=len(split.class_names),
            videos=len(split.train),
            dataset=samples(recipe, phase, there, split, store, seed),
            place=place,
            execution=execution,
            workers=workers,
        )
        for phase in phases
    ]


def samples(
    recipe: Recipe, phase: Phase, items: Sequence[VideoItem], split: Split, store: Path, seed: int
) -> ChunkDataset:
    """The phase's training samples; a phase of one stream does not decode the other's."""
    labelled = [
        (store_path(store, item.name), split.class_names.index(item.label)) for item in items
    ]
    return ChunkDataset(
        labelled,
        ChunkSettings(
            phase.chunks,
            phase.tau,
            phase.crop,
            recipe.input_size,
            MODALITY_OF[phase.stream],
            tau_group=phase.norm_group if phase.shared_tau else 1,
        ),
        seed=seed,
        open_video=StoredVideo,
    )


def absolute(path: str | Path | None) -> str | None:
    """As a run's folder holds paths, so that it can go on from any working directory."""
    return None if path is None else str(Path(path).absolute())


def _silent(line: str) -> None:
    """All but the first process."""
