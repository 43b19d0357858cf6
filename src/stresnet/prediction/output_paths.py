"""Where the outputs of one video, or of many, go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from stresnet.errors import UsageError


def output_paths(out: Path, names: Sequence[str], ending: str) -> list[Path]:
    """One path for each video: `out` itself for a single one, else below the folder `out`.

    Args:
        names: of the videos, relative paths with `/`; in a folder the outputs are called alike.
        ending: of the outputs, with its dot.

    Raises:
        UsageError: `out` is a file's name and there are several videos, or two would get one name.
    """
    if out.suffix.lower() == ending:
        if len(names) > 1:
            raise UsageError(
                f"{out}: one file for {len(names)} videos", remedy="name a folder, without ending"
            )
        return [out]
    paths = [out / PurePosixPath(name).with_suffix(ending) for name in names]
    if twice := [str(path) for path, count in Counter(paths).items() if count > 1]:
        raise UsageError(
            f"several videos would be written to {twice[0]}",
            remedy="give them one after the other, or the folder that holds them all",
        )
    return paths
