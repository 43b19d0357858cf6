"""Where prepared videos lie: one rule for every verb.

$STRESNET_STORE/KEY/CLASS/clip.avi.zip      or, without that variable, below ./store
KEY = clips-1a2b3c4d                        the data's folder, and a hash of its whole path
KEY = clips-1a2b3c4d-128px-fast             prepared in another way than the paper's
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from stresnet.errors import UsageError
from stresnet.files import address_of
from stresnet.flow import AUTHORS, FAST, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE

LONGEST_NAME = 200  # bytes; file systems take 255, and the name grows while a file is written
VARIABLE = "STRESNET_STORE"


def default_store(
    data: str | Path, *, parameters: TVL1Parameters = AUTHORS, short_side: int = SHORT_SIDE
) -> Path:
    """The folder of a data set's prepared videos: another one for each data set and preparation.

    Args:
        data: a folder of videos; or a file, as a CSV list or a single video, which belongs to the
            folder that it lies in.

    Raises:
        UsageError: the data is an address.
    """
    if (address := address_of(data)) is not None:
        raise UsageError(f"{address}: has no store of its own", remedy="name one with --store")
    root = Path(data).resolve()
    if root.is_file():
        root = root.parent
    made = "" if short_side == SHORT_SIDE else f"-{short_side}px"
    if parameters != AUTHORS:
        digest = hashlib.sha256(repr(parameters).encode()).hexdigest()[:6]
        made += "-fast" if parameters == FAST else f"-flow-{digest}"
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    return Path(os.environ.get(VARIABLE) or "store") / f"{root.name or 'root'}-{key}{made}"


def key_of(name: str) -> str:
    """What a video is called inside a store: its name, cut as the file's is."""
    return store_path(Path(), name).as_posix().removesuffix(".zip")


def store_path(store: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `store/CLASS/clip.avi.zip`.

    The ending stays, so that clip.avi and clip.mp4 do not meet. Very long names are cut, and told
    apart by a hash.

    Raises:
        UsageError: the name is empty or leads out of `store`.
    """
    relative = PurePosixPath(name)
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{name!r} cannot name a video, expected a path relative to its data")
    last = os.fsencode(relative.name)
    if len(last) > LONGEST_NAME:
        last = last[:LONGEST_NAME] + b"-" + hashlib.sha256(last).hexdigest()[:16].encode()
    return store.joinpath(relative.parent, os.fsdecode(last) + ".zip")
