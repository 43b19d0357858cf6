"""MATLAB 5 file -> .npz of its named arrays; run as a script, in a process of its own.

scipy's reader ends the whole process (a segmentation fault) on some damaged files, so nothing that
matters may run beside it. For the same reason this file imports nothing of stresnet.

    python mat_to_npz.py SOURCE.mat TARGET.npz
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np


def named_arrays(variables: dict[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The parameters of a DagNN (`net.params(i).name`, `.value`), or plain variables."""
    # The base networks were saved with `save -struct`, the trained ones as a variable `net`.
    holder: Any = variables["net"][0, 0] if "net" in variables else variables
    if holder is not variables or "params" in variables:
        for parameter in holder["params"].ravel():
            yield str(parameter["name"].item()), np.asarray(parameter["value"], np.float32)
        return
    for name, value in variables.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield name, value.astype(np.float32)


def main(source: str, target: str) -> None:
    """Convert one file; a failure leaves its reason as the last line of stderr."""
    from scipy.io import loadmat

    try:
        names, values = zip(*named_arrays(loadmat(source)), strict=True)
    except NotImplementedError:
        sys.exit("a MATLAB 7.3 file; in MATLAB, load it and save(file, '-v7')")
    np.savez(target, names=np.array(names), **{f"array_{i}": v for i, v in enumerate(values)})


if __name__ == "__main__":
    main(*sys.argv[1:])
