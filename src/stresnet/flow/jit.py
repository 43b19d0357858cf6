"""How the inner loops of flow and IDT are compiled: by numba, without the interpreter lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])

SOURCES = Path(__file__).parent
UNUSED = 30 * 24 * 3600  # seconds after which machine code of another installation is removed


def compiled(loop: Loop) -> Loop:
    """Compile `loop` at its first call, and cache the machine code in `cache_folder`.

    Threads run it in parallel. There is no `fastmath`: all processors give the same bytes.
    """
    compile_loop = partial(numba.njit, nogil=True, error_model="numpy")
    folder = cache_folder()
    if folder is None:
        return cast(Loop, compile_loop()(loop))
    config: Any = numba.config
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        return cast(Loop, compile_loop(cache=True)(loop))
    finally:
        config.CACHE_DIR = before


def inlined(part: Loop) -> Loop:
    """Compile `part` into each compiled loop that calls it, at no cost per call."""
    return cast(Loop, numba.njit(error_model="numpy", forceinline=True)(part))


@cache
def cache_folder() -> Path | None:
    """Return where machine code is cached, or None: then each process compiles, for about 5 s.

    It is in NUMBA_CACHE_DIR or, if that is not set, in the first of these that can be written: the
    package's folder, the user's cache folder, a private temporary one. There is one folder for each
    state of the sources, because numba itself notices only changes of the file that a loop is in,
    not of the files of the functions it calls.
    """
    digest = hashlib.sha256()
    for folder in (SOURCES, SOURCES.parent / "idt"):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    for place in _places():
        folder = place / f"stresnet-{digest.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # which also renews the folder's date
                _remove_others(folder)
                return folder
        except OSError:
            continue
    return None


def _remove_others(folder: Path) -> None:
    """Remove the machine code of other states of the sources.

    Beside the sources it can only belong to older ones. Elsewhere, other installations may use
    theirs, whose date is renewed at each use.
    """
    is_ours_alone = folder.parent == SOURCES / "__pycache__"
    oldest = time.time() - (0 if is_ours_alone else UNUSED)
    for other in folder.parent.glob("stresnet-" + 16 * "[0-9a-f]"):
        with suppress(OSError):  # another process may be quicker
            if other != folder and other.stat().st_mtime < oldest:
                shutil.rmtree(other)


def _places() -> Iterator[Path]:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen)
        return
    yield SOURCES / "__pycache__"
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    with suppress(RuntimeError):  # no home
        yield user.expanduser()
    # Machine code that other users could write must not be run.
    private = Path(tempfile.gettempdir()) / f"stresnet-{getattr(os, 'getuid', int)()}"
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        owner = private.lstat()
    except OSError:
        return
    if owner.st_uid == getattr(os, "getuid", int)() and not owner.st_mode & 0o077:
        yield private
