"""Public names that are imported when they are first used: torch alone takes a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`.

    Args:
        package: its `__name__`.
        homes: for each public name the module that defines it, as "module", or as "module:name"
            where it has another name there; a name may be a module itself.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = homes[name].partition(":")
        home = import_module(module)
        return home if module == f"{package}.{name}" else getattr(home, attribute or name)

    return get, lambda: sorted({*vars(sys.modules[package]), *homes})
