"""Which networks a user means: model folders, or the folders of runs that hold several."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stresnet.data.splits.split import VideoItem, in_short
from stresnet.errors import UsageError
from stresnet.model import STResNet
from stresnet.model.model_folder import CONFIG

FOLD = "{fold}"
OF_A_RUN = ("two_stream", "st_resnet", "st_resnet_star")  # Table 3's order
SPLIT_LIST = "split.csv"  # a run's record of its training videos

Network = Literal["two-stream", "ST-ResNet", "ST-ResNet*", "a variant"]


@dataclass(frozen=True)
class ModelFolders:
    """A folder for each label and fold; labels are in the order given."""

    labels: tuple[str, ...]
    folders: dict[tuple[str, int | None], str]

    def folder(self, label: str, fold: int | None) -> str:
        return self.folders[label, fold]


def find_models(models: Sequence[str], folds: Sequence[int | None]) -> ModelFolders:
    """Label the networks by their folders' names, as many of a path as tell them apart.

    Args:
        models: paths; each holds `{fold}` where there are several folds.

    Raises:
        UsageError: there is no model, one is given twice, or several folds share one, which would
            then be tested on videos it was trained on.
    """
    if len(folds) > 1 and (fixed := [model for model in models if FOLD not in model]):
        raise UsageError(
            f"{fixed[0]} would be tested on {len(folds)} folds, and has been trained on some",
            remedy=f"put {FOLD} into the path, as in runs/fold{FOLD}/st_resnet_star",
        )
    if folds[0] is None and (open_ended := [model for model in models if FOLD in model]):
        raise UsageError(f"{open_ended[0]} asks for a fold", remedy="add --fold or --folds")
    of_fold = {
        fold: [path for model in models for path in _networks(model.replace(FOLD, str(fold)))]
        for fold in folds
    }
    first = of_fold[folds[0]]
    if not first or any(len(paths) != len(first) for paths in of_fold.values()):
        raise UsageError("the folds have different networks", remedy="give folders of the same")
    labels = _labels(first)
    return ModelFolders(
        labels,
        {
            (label, fold): path
            for fold, paths in of_fold.items()
            for label, path in zip(labels, paths, strict=True)
        },
    )


def _networks(model: str) -> list[str]:
    """The model itself, or the networks of a run in the order of Table 3."""
    folder = Path(model)
    if (folder / CONFIG).exists():
        return [model]
    names = [name for name in OF_A_RUN if (folder / name / CONFIG).exists()]
    return [str(folder / name) for name in names] or [model]


def _labels(models: Sequence[str]) -> tuple[str, ...]:
    paths = [Path(model).resolve() for model in models]
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


def warn_of_trained(model: str, tested: Sequence[VideoItem]) -> str:
    """A warning if the network's run says that it was trained on videos of these names; or ""."""
    record = Path(model).parent / SPLIT_LIST
    if not record.is_file():
        return ""
    with record.open(encoding="utf-8", newline="") as file:
        trained = {row.get("name") for row in csv.DictReader(file) if row.get("split") == "train"}
    seen = [item.name for item in tested if item.name in trained]
    if not seen:
        return ""
    return (
        f"{Path(model).name} was trained on {len(seen)} of the {len(tested)} test videos, by their "
        f"names: {in_short(seen)}. Test it on the fold, or with the seed, that it was trained with"
    )
