"""What one examination of the environment found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands with one thing."""

    FINE = "fine"
    LIMITED = "limited"  # all the rest works
    BROKEN = "broken"  # stresnet does not work before it is mended


@dataclass(frozen=True)
class Finding:
    """How it stands with `topic`; `remedy` mends what is limited or broken."""

    topic: str
    state: State
    says: str
    remedy: str = ""


def fine(topic: str, says: str) -> Finding:
    """All is well."""
    return Finding(topic, State.FINE, says)


def limited(topic: str, says: str, remedy: str) -> Finding:
    """One thing less; all the rest works."""
    return Finding(topic, State.LIMITED, says, remedy)


def broken(topic: str, says: str, remedy: str) -> Finding:
    """Nothing works before this is mended."""
    return Finding(topic, State.BROKEN, says, remedy)
