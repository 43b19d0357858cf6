"""`stresnet train`: data in, every phase one after the other, model folders out.

A run's folder:

    run.json                            recipe, options, classes, versions
    split.csv                           which video was for training, which for testing
    log.csv, tensorboard/               one row an iteration
    PHASE.checkpoint.safetensors        where the phase stands
    two_stream/, st_resnet/, st_resnet_star/    trained networks, each for `stresnet predict`

The weights kept are those after the last iteration, as in the paper: nothing is selected on
validation or test videos.
"""

from __future__ import annotations

import csv
import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from lightning_fabric import Fabric

from stresnet.data.chunks import ChunkDataset, ChunkSettings
from stresnet.data.datasets import Split, VideoItem, check, open_dataset
from stresnet.data.prepare import PREPARATION, prepare, store_path
from stresnet.data.store import StoredVideo
from stresnet.errors import DatasetError, UsageError
from stresnet.files import whole_file
from stresnet.model import STResNet, inflate_from, load_imagenet, load_model
from stresnet.model.stream import Depth
from stresnet.training.card import model_card
from stresnet.training.distillation import distil as distil_on
from stresnet.training.loop import PhaseRun, train_phase
from stresnet.training.recipes import PHASES, Phase, Recipe, recipe_named

NETWORK_OF = {  # phase -> the model folder that holds its result
    "motion": "two_stream",
    "appearance": "two_stream",
    "st_resnet": "st_resnet",
    "st_resnet_star": "st_resnet_star",
}


def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Recipe = "quick",
    depth: Depth | None = None,
    weights: str | Path | None = None,
    fold: int | None = None,
    lists: str | Path | None = None,
    store: str | Path | None = None,
    phases: Sequence[str] = PHASES,
    seed: int = 0,
    workers: int = 1,
    device: str = "auto",
    precision: str = "auto",
    say: Callable[[str], None] = print,
) -> Path:
    """Train a recogniser on labelled videos; called again with the same arguments, it goes on.

    Args:
        data: folder per class, UCF101, HMDB51, or a CSV (see `open_dataset`).
        out: the run's folder.
        recipe: a name of `stresnet.training.recipes`, or a recipe of one's own.
        depth: of the network, where not the recipe's.
        weights: ImageNet ResNet of that depth, for both streams. None: the small network's own,
            which ship with the package.
        fold: the fold or official split whose test videos are kept out.
        lists: folder of UCF101's or HMDB51's official split files.
        store: folder of prepared videos, filled as needed. None: `store` beside the run.
        phases: some of `PHASES`, in order; each needs the one before, now or in an earlier call.
        seed: of sampling, augmentation and new filters.
        workers: loader processes.
        device: "auto", "cpu" or "cuda".
        precision: "auto" (bf16 where the processor multiplies it natively), "bf16-mixed" or
            "32-true".
        say: receives one plain line at each step of the way.

    Returns:
        The folder of the last phase's network.

    Raises:
        DatasetError, UsageError, WeightsError, TrainingError, EnvironmentProblem: as they say.
    """
    data, out = Path(data), Path(out)
    recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
    if depth is not None:
        recipe = replace(recipe, depth=depth)
    wanted = [recipe.phase(name) for name in phases]

    # -- Data -------------------------------------------------------------------------------
    split = open_dataset(data, fold=fold, lists=Path(lists) if lists else None, seed=seed)
    for warning in check(split):
        say(f"warning: {warning}")
    say(
        f"{len(split.class_names)} classes, {len(split.train)} videos to train, "
        f"{len(split.test)} kept out"
    )
    store = Path(store) if store else out.parent / "store"
    trained = usable(split.train, prepared(split.train, store, say))
    items = [
        (store_path(store, item.name), split.class_names.index(item.label)) for item in trained
    ]

    # -- The run's folder ---------------------------------------------------------------------
    fingerprint = open_run(out, recipe, split, seed, weights, trained)
    fabric = Fabric(
        accelerator=device,
        devices=1,
        precision=precision_of(precision, device),  # type: ignore[arg-type]
    )

    # -- Phases -------------------------------------------------------------------------------
    net: STResNet | None = None
    for phase in wanted:
        fabric.seed_everything(seed, verbose=False)
        net = network(recipe, phase, len(split.class_names))
        start_from(net, phase, out, weights)
        say(f"{phase.name}: {phase.iterations} iterations of {phase.batch} videos")
        dataset = ChunkDataset(
            items,
            ChunkSettings(phase.chunks, phase.tau, phase.crop, recipe.input_size),
            seed=seed,
            open_video=StoredVideo,
        )
        run = PhaseRun(recipe, phase, dataset, out, fingerprint, seed, workers)
        train_phase(net, run, fabric)
        net.save_pretrained(
            out / NETWORK_OF[phase.name],
            class_names=split.class_names,
            preparation=dict(PREPARATION),
            card=model_card(
                recipe,
                phase,
                network=NETWORK_OF[phase.name],
                class_names=split.class_names,
                data=data.name,
                trained=len(trained),
                kept_out=len(split.test),
                fold=fold,
            ),
        )
        say(f"{phase.name}: saved {out / NETWORK_OF[phase.name]}")
    return out / NETWORK_OF[wanted[-1].name]


def distil(
    data: str | Path,
    teacher_weights: str | Path,
    out: str | Path,
    *,
    iterations: int,
    fold: int | None = None,
    store: str | Path | None = None,
    workers: int = 1,
    precision: str = "auto",
    say: Callable[[str], None] = print,
) -> None:
    """Distil ImageNet weights for the tiny network on the training videos of `data`.

    Args and errors as in `train` and `distillation.distil`.
    """
    split = open_dataset(Path(data), fold=fold)
    store = Path(store) if store else Path(out).parent / "store"
    trained = usable(split.train, prepared(split.train, store, say))
    distil_on(
        [store_path(store, item.name) for item in trained],
        teacher_weights,
        out,
        iterations=iterations,
        workers=workers,
        bf16=precision_of(precision, "cpu") == "bf16-mixed",
        say=say,
    )


def network(recipe: Recipe, phase: Phase, num_classes: int) -> STResNet:
    """The phase's network, with new filters."""
    two_streams = phase.name in ("motion", "appearance")
    return STResNet(
        num_classes,
        recipe.depth,
        input_size=recipe.input_size,
        motion_residual=None if two_streams else "appearance",
        temporal_convolutions=not two_streams,
        temporal_pool=recipe.temporal_pool if phase.name == "st_resnet_star" else None,
        appearance_dropout=phase.dropout,
        motion_dropout=phase.dropout,
    )


def start_from(net: STResNet, phase: Phase, out: Path, weights: str | Path | None) -> None:
    """Give `net` the weights of the phase before; the first ones start from ImageNet's.

    Raises:
        UsageError: the phase before has not been trained in this run.
    """
    before = out / {"st_resnet": "two_stream", "st_resnet_star": "st_resnet"}.get(
        phase.name, "two_stream"
    )
    if before.exists():
        inflate_from(net, load_model(before).state_dict())
    elif phase.name in ("st_resnet", "st_resnet_star"):
        raise UsageError(
            f"{phase.name} starts from {before}, which is not there",
            remedy="leave --phases out, or train the phases before it into the same folder",
        )
    elif weights is not None:
        load_imagenet(net, weights)
    elif net.config["depth"] == "tiny":
        with as_file(files("stresnet") / "assets" / "tiny_imagenet.safetensors") as shipped:
            load_imagenet(net, shipped)


def prepared(items: Sequence[VideoItem], store: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Prepare the videos that are not prepared yet; return the failures, name -> reason."""

    def on_progress(finished: int, total: int, name: str) -> None:
        if finished * 20 // total > (finished - 1) * 20 // total:  # a line every twentieth
            say(f"prepare: {finished} of {total} videos")

    videos = [(item.path, item.name) for item in items]
    report = prepare(videos, store, on_progress=on_progress)
    if report.done:
        say(f"prepared {len(report.done)} videos into {store}")
    for name, reason in report.failures:
        say(f"left out: {name}: {reason}")
    return dict(report.failures)


def usable(items: Sequence[VideoItem], failures: dict[str, str]) -> list[VideoItem]:
    """The videos that could be prepared.

    Raises:
        DatasetError: a class has none left.
    """
    kept = [item for item in items if item.name not in failures]
    if emptied := {item.label for item in items} - {item.label for item in kept}:
        raise DatasetError(
            f"no usable training video is left in {', '.join(sorted(emptied))}",
            remedy="see failures.csv in the store; mend or replace these videos",
        )
    return kept


def open_run(
    out: Path,
    recipe: Recipe,
    split: Split,
    seed: int,
    weights: str | Path | None,
    trained: Sequence[VideoItem],
) -> str:
    """Write `run.json` and `split.csv`; return the run's fingerprint.

    Raises:
        UsageError: the folder holds a run with other options.
    """
    identity = {
        "recipe": recipe.as_dict(),
        "seed": seed,
        "weights": str(weights) if weights else None,
        "class_names": list(split.class_names),
        "training_videos": [[item.name, item.label] for item in trained],
    }
    fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    described = {
        "fingerprint": fingerprint,
        **identity,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    described.pop("training_videos")
    path = out / "run.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")).get("fingerprint") != fingerprint:
            raise UsageError(
                f"{out}: holds a run with another recipe, seed, split or data",
                remedy="give another --out, or the options of the first call",
            )
        return fingerprint
    with whole_file(path) as partial:
        partial.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    with whole_file(out / "split.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "name", "label", "source"))
        for part, videos in (("train", split.train), ("test", split.test)):
            writer.writerows((part, v.name, v.label, v.source or "") for v in videos)
    return fingerprint


def precision_of(precision: str, device: str) -> str:
    """Resolve "auto": bfloat16 where the processor multiplies it natively, else 32 bits."""
    if precision != "auto":
        return precision
    if device != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"
