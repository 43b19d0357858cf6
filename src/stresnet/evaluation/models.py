"""Which networks a user means: models by name, or the folders of runs, which hold several."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Literal, TypeAlias

from stresnet.data.splits.split import VideoItem
from stresnet.errors import UsageError, in_short
from stresnet.model import STResNet, load_model
from stresnet.model.model_folder import CONFIG

FOLD = "{fold}"
OF_A_RUN = ("two_stream", "st_resnet", "st_resnet_star")  # Table 3's order
SPLIT_LIST = "split.csv"  # a run's record of its training videos
IN_MEMORY = "network"  # the label of a network given as an object

Network = Literal["two-stream", "ST-ResNet", "ST-ResNet*", "a variant"]
Fold: TypeAlias = int | None


@dataclass(frozen=True)
class Models:
    """What `load_model` takes, or a network itself, for each label and fold.

    Attributes:
        labels: in the order given.
    """

    labels: tuple[str, ...]
    sources: Mapping[tuple[str, Fold], STResNet | str]

    def load(self, label: str, fold: Fold, device: str) -> STResNet:
        """Return the network that is tested on a fold; one that was given stays where it is."""
        source = self.sources[label, fold]
        return source if isinstance(source, STResNet) else load_model(source, device=device)

    def name(self, label: str, fold: Fold) -> str:
        """What `load_model` takes; empty for a network that was given."""
        source = self.sources[label, fold]
        return "" if isinstance(source, STResNet) else source

    def warning(self, label: str, fold: Fold, tested: Sequence[VideoItem]) -> str:
        """Return a warning if the network's run records that it was trained on tested videos."""
        source = self.sources[label, fold]
        trained = set() if isinstance(source, STResNet) else trained_in(Path(source).parent)
        seen = [item.name for item in tested if item.name in trained]
        if not seen:
            return ""
        return (
            f"{label} was trained on {len(seen)} of the {len(tested)} test videos, judging by "
            f"their names: {in_short(seen)}. Test it on the fold, or with the seed, that it was "
            "trained with"
        )


def find_models(
    models: STResNet | str | Path | Sequence[str | Path], folds: Sequence[Fold]
) -> Models:
    """Label networks by their folders' names, with enough parent folders to tell them apart.

    Args:
        models: a network; or what `load_model` takes, one or several, each with `{fold}` in it
            where there are several folds. A run's folder stands for all its networks.

    Raises:
        UsageError: no model was given, one was given twice, or several folds share one, which would
            then be tested on videos that it was trained on.
    """
    if isinstance(models, STResNet):
        if len(folds) > 1:
            raise UsageError(
                f"one network would be tested on {len(folds)} folds, and was trained on some",
                remedy="give one fold",
            )
        return Models((IN_MEMORY,), {(IN_MEMORY, folds[0]): models})
    given = [str(model) for model in ([models] if isinstance(models, str | Path) else models)]
    if not given:
        raise UsageError("no model to evaluate", remedy="name one, or a run's folder")
    paths = [in_folds(model, folds) for model in given]
    of_fold = {
        fold: [source for path in paths for source in _networks(path[place])]
        for place, fold in enumerate(folds)
    }
    sets = {
        tuple(relpath(source, path[place]) for path in paths for source in _networks(path[place]))
        for place in range(len(folds))
    }
    if len(sets) > 1:
        raise UsageError(
            "the folds contain different sets of networks", remedy="train the same for every fold"
        )
    labels = _labels(of_fold[folds[0]])
    return Models(
        labels,
        {
            (label, fold): source
            for fold, sources in of_fold.items()
            for label, source in zip(labels, sources, strict=True)
        },
    )


def trained_in(run: Path) -> set[str]:
    """The names of a run's training videos; empty if it records none."""
    if not (run / SPLIT_LIST).is_file():
        return set()
    with (run / SPLIT_LIST).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        return {row["name"] for row in rows if row.get("split") == "train" and row.get("name")}


def in_folds(path: str, folds: Sequence[Fold]) -> list[str]:
    """Return a path for each fold, with its number in the place of `{fold}`.

    Raises:
        UsageError: several folds would share one path, which can belong to only one of them; or
            there is no fold to put in.
    """
    if len(folds) > 1 and FOLD not in path:
        raise UsageError(
            f"{path} would serve {len(folds)} folds, and belongs to one at most",
            remedy=f"put {FOLD} into the path, as in runs/fold{FOLD}/st_resnet_star",
        )
    if folds[0] is None and FOLD in path:
        raise UsageError(f"{path} asks for a fold", remedy="add --fold or --folds")
    return [path.replace(FOLD, str(fold)) for fold in folds]


def _networks(model: str) -> list[str]:
    """A model itself, or the networks of a run, in the order of Table 3."""
    folder = Path(model)
    if (folder / CONFIG).exists():
        return [model]
    return [str(folder / name) for name in OF_A_RUN if (folder / name / CONFIG).exists()] or [model]


def _labels(sources: Sequence[str]) -> tuple[str, ...]:
    paths = [Path(source).resolve() for source in sources]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        labels = ["-".join(path.parts[-depth:]).replace("/", "") for path in paths]
        if len(set(labels)) == len(labels):
            return tuple(labels)
    twice = next(path for path, count in Counter(paths).items() if count > 1)
    raise UsageError(f"{twice} is given twice", remedy="give each model once")


def network_kind(net: STResNet) -> Network:
    """Which of the paper's networks it is, whatever its depth."""
    connected, temporal = net.config["motion_residual"], net.config["temporal_convolutions"]
    pool = net.config["temporal_pool"]
    if connected is None and not temporal and pool is None:
        return "two-stream"
    if connected == "appearance" and temporal:
        return "ST-ResNet" if pool is None else "ST-ResNet*"
    return "a variant"
