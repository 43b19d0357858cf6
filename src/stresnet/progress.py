"""How far a long job is: one protocol for every function that reports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """One report of a long job.

    Attributes:
        done: how much is finished, in the unit that the function names (videos, seconds, ...).
        total: how much there is in all; None where nobody knows yet.
        item: what was finished last, or is being worked on; may be empty.
    """

    done: float
    total: float | None = None
    item: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Show nothing: the default of every `on_progress`."""
