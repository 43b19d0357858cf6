"""What the bytes of a stored flow field mean; every store says it in its index.

Tools differ in all of it without a word in their files: denseflow's bound is 32 by default, its
files count from 0, others normalise each picture. A network trained on one and shown another fails
in silence, so a store that says anything else is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stresnet.flow.quantize import BOUND

FLOW_FORMAT: Mapping[str, Any] = {
    "flow_bound": BOUND,  # pixels per frame
    "flow_levels": "round(255 (v + bound) / (2 bound)), clipped to 0 ... 255",
    "flow_channels": "x (right), then y (down)",
    "flow_alignment": "field k from frame k to k+1, both counted from 0",
}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """`key is ..., expected ...` for each key whose values differ; a missing one is None."""
    return [
        f"{key} is {found.get(key)!r}, expected {expected.get(key)!r}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]
