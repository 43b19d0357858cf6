"""The door to scikit-learn, an optional dependency that takes a second to import."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stresnet.errors import EnvironmentProblem


def scikit(module: str) -> Any:
    """`sklearn.MODULE`.

    Raises:
        EnvironmentProblem: scikit-learn is missing.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise EnvironmentProblem(
            f"encoding and training need scikit-learn, which cannot be imported ({error})",
            remedy="pip install 'stresnet[idt]'",
        ) from error
