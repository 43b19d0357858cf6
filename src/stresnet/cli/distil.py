"""`stresnet distil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.options import Data, Fold, Store
from stresnet.cli.program import say


def distil(
    data: Data,
    teacher: Annotated[Path, typer.Option(help="ImageNet ResNet-50 weights.")],
    out: Annotated[Path, typer.Option(help="File for the small network's weights.")],
    iterations: Annotated[int, typer.Option(min=1)] = 1200,
    fold: Fold = None,
    store: Store = None,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed or 32-true.")] = "auto",
) -> None:
    """Make ImageNet weights for the tiny network from a ResNet-50's, on unlabelled frames."""
    from stresnet.training.run import distil as distil_from

    distil_from(
        data,
        teacher,
        out,
        iterations=iterations,
        fold=fold,
        store=store,
        workers=workers,
        precision=precision,
        say=say,
    )
