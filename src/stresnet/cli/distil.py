"""`stresnet distil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Data, Fold, Store


def distil(
    data: Data,
    teacher: Annotated[
        Path,
        typer.Option(
            help="ImageNet ResNet-50 weights; or the folder of a two-stream network trained on "
            "this data."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="File for the small network's weights; a folder if --teacher is one."),
    ],
    iterations: Annotated[int, typer.Option(min=1)] = 1200,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="ImageNet weights of the small network, for --teacher FOLDER; default: those "
            "that ship with stresnet."
        ),
    ] = None,
    fold: Fold = None,
    store: Store = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Do without the videos that cannot be used.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed or 32-true.")] = "auto",
) -> None:
    """Teach the tiny network what a ResNet-50 sees: ImageNet features, or motion."""
    from stresnet.training.distil import distil as distil_from

    distil_from(
        data,
        teacher,
        out,
        iterations=iterations,
        weights=weights,
        fold=fold,
        store=store,
        skip_broken=skip_broken,
        workers=workers,
        precision=precision,
        say=say,
    )
