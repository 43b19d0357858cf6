"""The door to OpenCV, an optional dependency."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stresnet.errors import EnvironmentProblem

try:
    cv2: Any = import_module("cv2")  # its stubs know no array types
except ImportError as error:
    raise EnvironmentProblem(
        f"improved trajectories need OpenCV, which cannot be imported ({error})",
        remedy="pip install 'stresnet[idt]'",
    ) from error
