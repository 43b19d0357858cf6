"""Where the prepared video of a name lies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from stresnet.errors import UsageError

LONGEST_NAME = 200  # bytes; file systems take 255, and the name grows while a file is written


def store_path(out: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `out/CLASS/clip.avi.zip`.

    The ending stays, so that clip.avi and clip.mp4 do not meet. Very long names are cut, and told
    apart by a hash.

    Raises:
        UsageError: the name is empty or leads out of `out`.
    """
    relative = PurePosixPath(name)
    if not relative.name or relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{name!r} is no name of a video, expected a path relative to its data")
    last = os.fsencode(relative.name)
    if len(last) > LONGEST_NAME:
        last = last[:LONGEST_NAME] + b"-" + hashlib.sha256(last).hexdigest()[:16].encode()
    return out.joinpath(relative.parent, os.fsdecode(last) + ".zip")
