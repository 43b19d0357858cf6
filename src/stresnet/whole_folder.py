"""Folders that appear whole or not at all; `files.whole_file` for folders."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stresnet.errors import EnvironmentProblem, UsageError


@contextmanager
def whole_folder(path: Path, *, ending: str) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it replaces `path`, else it is removed.

    A former `path` is replaced only if it holds nothing but files of this `ending`, as `.jpg`.

    A kill at any moment leaves at most a `.partial` folder (see `leftovers`). Files are not synced
    one by one, which would cost more than writing them: after a power cut, look at them.

    Raises:
        UsageError: `path` holds what is not ours to replace.
        EnvironmentProblem: the disk is full.
    """
    path = path.absolute()  # `.` and the like have no name to write beside
    _require_ours(path, ending)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentProblem(
                f"{path}: the disk is full", remedy="free space, then run the same command again"
            ) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_ours(path: Path, ending: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(f"{path}: is no folder", remedy="choose another output folder")
    if path.is_dir() and (others := [p.name for p in path.iterdir() if p.suffix != ending]):
        raise UsageError(
            f"{path}: would be replaced, but holds more than {ending} files ({others[0]})",
            remedy="choose a new folder",
        )
