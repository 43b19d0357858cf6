"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from stresnet.cli.progress import progress
from stresnet.errors import UsageError

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Model folder, OWNER/NAME on the Hugging Face hub, or a model that ships: fight.",
    ),
]
DATA = typer.Argument(
    metavar="DATA",
    help="Folder per class, UCF101 or HMDB51 folder, CSV with columns path, label "
    "[, start, end, source, fold or split], or recordings with an annotation file.",
    show_default=False,
)
Data = Annotated[Path, DATA]
Videos = Annotated[Path, typer.Argument(metavar="VIDEOS", help="A video, or a folder of them.")]
Fold = Annotated[
    int | None,
    typer.Option(help="Fold of the CSV, or number of the official split, to test on."),
]
Lists = Annotated[
    Path | None, typer.Option(help="Folder with the official split files of UCF101 or HMDB51.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        help="Folder of prepared videos; what is missing is added. [default: the data's own "
        "folder in ./store, or in $STRESNET_STORE]",
        show_default=False,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder on this machine's disk for a copy of --store, a folder of shards or its "
        "address; made before the start.",
        show_default=False,
    ),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Train without the videos that cannot be used.")
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Of all that is drawn at random; the same for training and testing."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only estimate the work, time and space it takes.")
]
Fast = Annotated[
    bool,
    typer.Option("--fast", help="Faster flow and 8 instead of 25 chunks (always on for cameras)."),
]
Loaders = Annotated[
    int, typer.Option("--workers", min=0, help="Loader processes for each training process.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="What the first phase starts from: the file of an ImageNet ResNet of that depth, "
        "OWNER/NAME or OWNER/NAME/FILE of one on the Hugging Face hub, a model folder (of other "
        "classes, too), or none. The tiny network's ImageNet weights ship with stresnet.",
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where network and optical flow run: auto (a GPU, else the processor), cpu, cuda, "
        "cuda:N."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Numbers to compute with: auto (bf16 where the device is built for it, else fp32), "
        "fp32, bf16, fp16."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Worker processes. [default: one per core; four per GPU]", show_default=False
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster: auto (one that runs here, or $RAY_ADDRESS), HOST:PORT of its "
        "head, or local (one for this run). [default: processes on this machine]",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="CPU threads for optical flow. [default: one per core]", show_default=False
    ),
]
Overlap = Annotated[
    str | None,
    typer.Option(
        help="Who gets the time where segments of different labels overlap: later (the one that "
        "begins later), longer or drop (neither). [default: an error, with the list]",
        show_default=False,
    ),
]


def local_store(store: Path | None, cache: Path | None) -> Path | None:
    """Return the folder to read prepared videos from: --store, or its copy in --cache.

    Raises:
        UsageError: the two don't belong together.
        EnvironmentProblem: the copy cannot be made.
    """
    from stresnet.data.store.pack import cached

    if store is None:
        if cache is not None:
            raise UsageError("--cache is for a copy of --store", remedy="name both")
        return None
    with progress("copy") as on_progress:
        return cached(store, cache, on_progress=on_progress)


Number = TypeVar("Number", int, float)


def numbers(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Read a list of numbers that an option is given, such as `1,2,3`.

    Args:
        kind: int or float.

    Raises:
        UsageError: a part is not such a number.
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        expected = "whole numbers, as in 1,2,3" if kind is int else "numbers, as in 1,1.5"
        raise UsageError(f"{option} is {text!r}; expected {expected}") from error
