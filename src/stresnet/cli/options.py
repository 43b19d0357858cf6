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
        help="Model folder, OWNER/NAME on the Hugging Face hub, or a model that ships with "
        "stresnet: fight or exercise.",
    ),
]
DATA = typer.Argument(
    metavar="DATA",
    help="Folder with a folder for each class; folder of UCF101 or HMDB51; CSV with the columns "
    "path, label [, start, end, source, fold or split]; or recordings with an annotation file.",
    show_default=False,
)
Data = Annotated[Path, DATA]
Videos = Annotated[
    Path,
    typer.Argument(
        metavar="VIDEOS",
        help="A video, a folder of them, a CSV list with columns path and label, or a .txt list.",
    ),
]
Fold = Annotated[
    int | None,
    typer.Option(
        help="Fold of the CSV, or number of the official split, to test on.",
        show_default="the first, where there are folds",
    ),
]
Lists = Annotated[
    Path | None, typer.Option(help="Folder with the official split files of UCF101 or HMDB51.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        help="Folder of prepared videos; missing ones are added.",
        show_default="the data's own folder in ./store, or in $STRESNET_STORE",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder on this machine's disk. --store, a folder of shards or its address, is copied "
        "there before the work begins.",
        show_default=False,
    ),
]
SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken", help="Train without the videos that cannot be used, instead of stopping."
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, help="Seed of all random choices; give the same one to `train` and `evaluate`."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only estimate the work, the time and the disk space.")
]
Loaders = Annotated[
    int,
    typer.Option("--workers", min=0, help="Processes that load data, for each training process."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights that the first phase starts from: the file of an ImageNet ResNet of that "
        "depth; OWNER/NAME or OWNER/NAME/FILE of one on the Hugging Face hub; a model folder, "
        "also of other classes; or none.",
        show_default="ImageNet's ResNet-50, which ships, for depths 50 and small; none for tiny",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Device for the network and the optical flow: auto (a GPU if there is one, else the "
        "CPU), cpu, cuda or cuda:N."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Number format of the network: auto (bf16 where the device is built for it, else "
        "fp32; or $STRESNET_PRECISION), fp32, bf16 or fp16."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Worker processes.", show_default="one per core; four per GPU"),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster: auto (one that runs here, or $RAY_ADDRESS), HOST:PORT of its "
        "head, or local (one for this run).",
        show_default="processes on this machine",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads for optical flow.", show_default="one per core"),
]
Overlap = Annotated[
    str | None,
    typer.Option(
        help="Which segment keeps the time where segments of different labels overlap: later (the "
        "one that begins later), longer, or drop (neither).",
        show_default="stop, and list the overlaps",
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


def words(text: str) -> list[str]:
    """Read a list that an option is given, such as `one,two` or `one, two`."""
    return [word.strip() for word in text.split(",")]


def numbers(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Read a list of numbers that an option is given, such as `1,2,3`.

    Args:
        kind: int or float.

    Raises:
        UsageError: a part is not such a number.
    """
    try:
        return [kind(part) for part in words(text)]
    except ValueError as error:
        expected = "whole numbers, as in 1,2,3" if kind is int else "numbers, as in 1,1.5"
        raise UsageError(f"{option} is {text!r}; expected {expected}") from error
