"""How flow's inner loops are compiled: numba, without the interpreter lock, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile `loop` at its first call, and keep the machine code beside the package.

    Threads run it side by side. Where neither the package's folder nor the user's cache folder
    can be written, it is compiled anew in every process (about ten seconds for TV-L1).

    `fastmath` lets sums be reordered, and so be vectorised: results are the same from run to run
    on one kind of processor, and agree to rounding between kinds.
    """
    compile_loop = partial(numba.njit, nogil=True, fastmath=True, error_model="numpy")
    try:
        return cast(Loop, compile_loop(cache=True)(loop))
    except RuntimeError:
        # numba's way to say that no cache folder can be written.
        return cast(Loop, compile_loop()(loop))
