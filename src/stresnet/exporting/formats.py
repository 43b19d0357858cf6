"""What a format has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.export import ExportedProgram

from stresnet.errors import EnvironmentProblem

Bytes = NDArray[np.uint8]
Scores = NDArray[np.float32]
Run = Callable[[Bytes, Bytes], Sequence[Scores]]  # rgb, flow -> appearance, motion


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: as the command line calls it.
        suffix: of its file, with the dot.
        packages: that it needs.
        extra: of stresnet, that installs them; "" if none is needed.
        write: (program, path, metadata) -> the written files, the one named `path` first.
        opened: path -> a function that scores, in float32.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    extra: str
    write: Callable[[ExportedProgram, Path, Mapping[str, str]], list[Path]]
    opened: Callable[[Path], Run]

    def require(self) -> None:
        """Raise `EnvironmentProblem`, with the pip command, if a package is missing."""
        if missing := [name for name in self.packages if find_spec(name) is None]:
            raise EnvironmentProblem(
                f"{self.name} needs {' and '.join(missing)}",
                remedy=f"pip install 'stresnet[{self.extra}]'",
            )
