"""`stresnet distil`: a teacher and training videos in, a small student out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file
from pathlib import Path

import torch

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.many import store_path
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store
from stresnet.errors import UsageError
from stresnet.model import load_model
from stresnet.training.distillation import distil_imagenet, distil_motion
from stresnet.training.initialisation import SHIPPED_WEIGHTS
from stresnet.training.runtime import precision_of


def distil(
    data: str | Path,
    teacher: str | Path,
    out: str | Path,
    *,
    iterations: int,
    weights: str | Path | None = None,
    fold: int | None = None,
    store: str | Path | None = None,
    skip_broken: bool = False,
    workers: int = 1,
    precision: str = "auto",
    say: Callable[[str], None] = print,
) -> None:
    """Distil a teacher into the small network, on the training videos of `data`.

    Args:
        data, fold, store, skip_broken, workers, precision, say: as in `train`.
        teacher: the file of an ImageNet ResNet-50, for ImageNet weights of the small network; or
            the folder of a two-stream network trained on these videos, for a small one with a
            motion stream like its.
        out: a .safetensors file of weights; a model folder where the teacher is one.
        iterations: optimiser steps.
        weights: the small network's ImageNet weights, which the student of a model folder starts
            from. None: those that ship with the package.

    Raises:
        UsageError: the teacher knows other classes, or is a file and `weights` are given.
        DatasetError, WeightsError: as they say.
    """
    split = open_dataset(Path(data), fold=fold)
    store = Path(store) if store else default_store(data)
    prepared = ensure_prepared(split.train, store)
    items = [
        (store_path(store, item.name), split.class_names.index(item.label))
        for item in prepared.kept(skip_broken=skip_broken)
    ]
    bf16 = precision_of(precision, torch.device("cpu")) == "bf16-mixed"
    if Path(teacher).is_dir():
        known = load_model(teacher).class_names
        if known != split.class_names:
            raise UsageError(
                f"{teacher} knows {', '.join(known)}; {data} has {', '.join(split.class_names)}",
                remedy="give the data that the teacher was trained on",
            )
        card = (
            f"# Two-stream network\n\nDistilled from {Path(teacher).name} on {Path(data).name}.\n"
        )
        with as_file(SHIPPED_WEIGHTS) as shipped:
            distil_motion(items, teacher, out, weights or shipped, iterations=iterations,
                          card=card, workers=workers, bf16=bf16, say=say)  # fmt: skip
    elif weights is not None:
        raise UsageError(
            f"{teacher} is a file, whose student starts from nothing, but weights were given",
            remedy="leave out --weights, or give a model folder as --teacher",
        )
    else:
        distil_imagenet(items, teacher, out, iterations=iterations, workers=workers, bf16=bf16,
                        say=say)  # fmt: skip
