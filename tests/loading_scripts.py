"""Scripts of tools/ and benchmarks/ as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def script(path: str) -> ModuleType:
    """Return the script at `path`, relative to the repository, as a module of its name."""
    source = Path(__file__).parent.parent / path
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
