"""`stresnet train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stresnet.cli.options import Data, Fold, Lists, Store
from stresnet.cli.program import say
from stresnet.errors import UsageError

if TYPE_CHECKING:  # torch takes seconds to import; `--help` shall not wait for it
    from stresnet.model.stream import Depth


def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/train"),
    recipe: Annotated[str, typer.Option(help="quick or paper.")] = "quick",
    depth: Annotated[
        str | None, typer.Option(help="26, 50, 101, 152 or tiny; default: the recipe's.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="ImageNet ResNet of that depth to start both streams from "
            "(the tiny one's ship with stresnet)."
        ),
    ] = None,
    fold: Fold = None,
    lists: Lists = None,
    store: Store = None,
    phases: Annotated[
        str, typer.Option(help="Comma-separated; each needs the one before.")
    ] = "motion,appearance,st_resnet,st_resnet_star",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed or 32-true.")] = "auto",
) -> None:
    """Train all phases on a folder of labelled videos; again to go on after a stop."""
    from stresnet.training.run import train as train_all

    model = train_all(
        data,
        out,
        recipe=recipe,
        depth=network_depth(depth),
        weights=weights,
        fold=fold,
        lists=lists,
        store=store,
        phases=phases.split(","),
        seed=seed,
        workers=workers,
        device=device,
        precision=precision,
        say=say,
    )
    say(f"recognise with: stresnet predict {model} VIDEO")


def network_depth(text: str | None) -> Depth | None:
    """`--depth` as `STResNet` takes it.

    Raises:
        UsageError: there is no network of that depth.
    """
    from stresnet.model.stream import UNITS

    known = {str(depth): depth for depth in UNITS}
    if text is None:
        return None
    if text not in known:
        raise UsageError(f"--depth is {text!r}; expected one of {', '.join(known)}")
    return known[text]
