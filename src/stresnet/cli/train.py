"""`stresnet train`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stresnet.cli.app import say
from stresnet.cli.options import (
    DATA,
    Cache,
    Device,
    DryRun,
    Fold,
    Lists,
    Loaders,
    Overlap,
    Precision,
    Seed,
    SkipBroken,
    Store,
    Weights,
    local_store,
    words,
)
from stresnet.errors import UsageError

if TYPE_CHECKING:  # torch takes seconds to import; `--help` should not wait for it
    from stresnet.training.recipe import Recipe


def train(
    context: typer.Context,
    data: Annotated[Path | None, DATA] = None,
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/train"),
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Resume the run in this folder. DATA and all options come from it; only those of "
            "this machine can be changed: --workers, --device, --precision, --store, ...",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
    recipe: Annotated[
        str,
        typer.Option(
            help="quick, quick-small, quick-large, paper, released-code, or your own FILE.toml."
        ),
    ] = "quick",
    print_recipe: Annotated[
        bool,
        typer.Option("--print-recipe", help="Print the recipe as a file for --recipe, and stop."),
    ] = False,
    depth: Annotated[
        str | None,
        typer.Option(
            help="Depth of the ResNets: 26, 50, 101, 152, small or tiny.",
            show_default="the recipe's",
        ),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the crops, in pixels.", show_default="the recipe's"),
    ] = None,
    weights: Weights = None,
    motion_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights for the motion stream alone. (In the paper, HMDB51's starts from "
            "UCF101's.)",
            show_default="as --weights",
        ),
    ] = None,
    fold: Fold = None,
    lists: Lists = None,
    store: Store = None,
    cache: Cache = None,
    skip_broken: SkipBroken = False,
    phases: Annotated[
        str, typer.Option(help="Phases to train, separated by commas; each needs the one before.")
    ] = "motion,appearance,st_resnet,st_resnet_star",
    seed: Seed = 0,
    background: Annotated[
        str | None,
        typer.Option(
            help="For annotated recordings: the class of unlabelled time.",
            show_default="such time is left out",
        ),
    ] = None,
    overlap: Overlap = None,
    validate: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.9,
            help="Fraction of the training videos to keep back. The networks are compared on them "
            "in the end, and one is recommended; timelines of recordings are fitted on them.",
        ),
    ] = 0,
    workers: Loaders = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    plane_by_plane: Annotated[
        bool,
        typer.Option("--no-channels-last", help="Keep maps plane by plane in memory: slower."),
    ] = False,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute", help="Recompute activations in the backward pass: less memory, slower."
        ),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network with torch.compile.")
    ] = False,
) -> None:
    """Train all phases on labelled videos. Rerun, or give --resume, to resume.

    On several GPUs: torchrun --nproc-per-node=4 -m stresnet train DATA ...
    """
    if print_recipe:
        from stresnet.training.recipes import recipe_as_toml

        typer.echo(recipe_as_toml(changed_recipe(recipe, depth, input_size)), nl=False)
        return
    from stresnet.training import run
    from stresnet.training.estimate import estimate_training
    from stresnet.training.plan import plan, require_trainable
    from stresnet.training.run_folder import read_run
    from stresnet.training.runtime import Execution

    if int(os.environ.get("RANK", "0")) > 0:  # of several processes, the first one reports
        logging.getLogger("stresnet").setLevel(logging.ERROR)
    store = local_store(store, cache)
    if resume is not None:
        changes = given_options(context)
        model = run.resume(resume, **(changes | {"store": store} if store else changes))
    elif data is None:
        raise UsageError("neither DATA nor --resume was given", remedy="name one of them")
    else:
        arguments: dict[str, Any] = {
            "recipe": changed_recipe(recipe, depth, input_size),
            "weights": weights,
            "motion_weights": motion_weights,
            "fold": fold,
            "lists": lists,
            "store": store,
            "phases": [name for name in words(phases) if name],
            "seed": seed,
            "background": background,
            "overlap": overlap,
            "validate": validate,
        }
        execution = Execution(device, precision, workers, not plane_by_plane, recompute, compiled)
        if dry_run:
            planned = plan(data, **arguments)
            require_trainable(planned, out)
            estimate_training(planned, execution)
            return
        model = run.train(data, out, skip_broken=skip_broken, execution=execution, **arguments)
        arguments["data"] = data
    if resume is not None:
        arguments = read_run(resume)["arguments"]
    same = {name: arguments[name] for name in ("fold", "lists", "store", "overlap")}
    same["seed"] = arguments["seed"] or None
    given = {name: quote(str(value)) for name, value in same.items() if value is not None}
    options = "".join(f" --{name} {value}" for name, value in given.items())
    trained, data_there = quote(str(model)), quote(str(arguments["data"]))
    if not validate and resume is None:
        say(f"recommended:    {trained}, the last phase's (--validate 0.2 would compare them all)")
    say(f"measure with:   stresnet evaluate {quote(str(model.parent))} {data_there}{options}")
    say(f"recognise with: stresnet predict {trained} VIDEO")


def given_options(context: typer.Context) -> dict[str, Any]:
    """Return what was given on the command line that may concern the run, without --resume."""
    given = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            given[name] = value
    return {name: given[name] for name in given.keys() - {"resume", "cache", "verbose", "quiet"}}


def changed_recipe(name: str, depth: str | None, input_size: int | None) -> Recipe:
    """Return the recipe of that name, with another depth or input size where they are given.

    Raises:
        UsageError: there is no such recipe or depth.
    """
    from stresnet.model.stream import UNITS
    from stresnet.training.recipes import recipe_named

    depths = {str(depth): depth for depth in UNITS}
    if depth is not None and depth not in depths:
        raise UsageError(f"--depth is {depth!r}; expected one of {', '.join(depths)}")
    return recipe_named(name, depth=depths[depth] if depth else None, input_size=input_size)
