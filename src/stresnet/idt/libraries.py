"""The optional libraries: OpenCV, scikit-learn and scikit-image."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stresnet.errors import EnvironmentProblem


def optional(module: str) -> Any:
    """Import a module of the extra `idt`.

    Raises:
        EnvironmentProblem: it is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise EnvironmentProblem(
            f"improved trajectories need {module}, which cannot be imported ({error})",
            remedy="pip install 'stresnet[idt]'",
        ) from error
