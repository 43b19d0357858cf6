"""Memory that stays with the process between two layers.

glibc takes every block above 32 MiB from the system and returns it as soon as it is free, and the
system zeroes each page again. The maps of 25 chunks at 256x340 take up to 140 MB, so a layer would
wait longer for its memory than for its products.

It is a setting of the whole process, so the library leaves it alone: the command line, the server's
worker and whoever wants the speed call `keep_memory()`.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
_KEPT = 2**31 - 1  # bytes; the most that it takes


@cache
def keep_memory() -> bool:
    """Have this process keep what it frees, up to 2 GiB; return whether it does.

    Nothing changes without glibc, or if the user has chosen by an environment variable.
    """
    if platform.libc_ver()[0] != "glibc" or any(
        name in os.environ
        for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
    ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Versions that refuse the first would be worse off with the second alone.
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
