"""`stresnet train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Fold, Lists, Store
from stresnet.errors import UsageError

if TYPE_CHECKING:  # torch takes seconds to import; `--help` shall not wait for it
    from stresnet.model.stream import Depth

CHANGEABLE = ("workers", "device", "precision")  # with --resume, on another machine, say


def train(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA",
            help="Folder per class, UCF101 or HMDB51 folder, or CSV with columns path, label "
            "[, source, fold or split].",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/train"),
    resume: Annotated[
        Path | None,
        typer.Option(
            help="A run's folder, to go on with: instead of DATA and all options but --workers, "
            "--device and --precision.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it takes: steps, memory, hours.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="quick, quick-resnet50, paper or released-code.")
    ] = "quick",
    depth: Annotated[
        str | None, typer.Option(help="26, 50, 101, 152 or tiny; default: the recipe's.")
    ] = None,
    input_size: Annotated[
        int | None, typer.Option(min=32, help="Side of the crops, px; default: the recipe's.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="What the first phase starts from: the file of an ImageNet ResNet of that depth, "
            "or a model folder, as UCF101's for HMDB51 (the tiny one's ship with stresnet)."
        ),
    ] = None,
    motion_weights: Annotated[
        Path | None,
        typer.Option(
            help="The same for the motion stream alone, as UCF101's for HMDB51's.",
            show_default=False,
        ),
    ] = None,
    fold: Fold = None,
    lists: Lists = None,
    store: Store = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Train without the videos that cannot be used.")
    ] = False,
    phases: Annotated[
        str, typer.Option(help="Comma-separated; each needs the one before.")
    ] = "motion,appearance,st_resnet,st_resnet_star",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Loader processes, for each training process.")
    ] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16-mixed, 16-mixed or 32-true.")] = "auto",
    channels_last: Annotated[
        bool, typer.Option(help="Lay out maps channel by channel of each pixel.")
    ] = True,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Activation checkpointing: less memory, slower.")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
) -> None:
    """Train all phases on a folder of labelled videos; again, or with --resume, to go on.

    On several GPUs: torchrun --nproc-per-node=4 -m stresnet train DATA ...
    """
    from stresnet.training.run import resume as go_on
    from stresnet.training.run import train as train_all

    if resume is not None:
        model = go_on(resume, say=say, **changes(context))
    elif data is None:
        raise UsageError("neither DATA nor --resume was given", remedy="name one of them")
    else:
        model = train_all(
            data,
            out,
            recipe=recipe,
            depth=network_depth(depth),
            input_size=input_size,
            weights=weights,
            motion_weights=motion_weights,
            fold=fold,
            lists=lists,
            store=store,
            skip_broken=skip_broken,
            phases=phases.split(","),
            seed=seed,
            workers=workers,
            device=device,
            precision=precision,
            channels_last=channels_last,
            recompute=recompute,
            compiled=compiled,
            dry_run=dry_run,
            say=say,
        )
    if not dry_run:
        say(f"recognise with: stresnet predict {model} VIDEO")


def changes(context: typer.Context) -> dict[str, object]:
    """What was given on the command line besides --resume.

    Raises:
        UsageError: something that the run's folder fixes.
    """
    given = {
        name: value
        for name, value in context.params.items()
        if name != "resume" and _was_given(context, name)
    }
    if fixed := given.keys() - set(CHANGEABLE):
        raise UsageError(
            f"--resume takes everything from the run's folder, but {', '.join(sorted(fixed))} "
            "was given too",
            remedy="leave it out; only --workers, --device and --precision may change",
        )
    return given


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


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
