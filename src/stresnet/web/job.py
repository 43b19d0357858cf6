"""One clip on its way: sent, waiting, at work, done or failed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

UPLOAD = "upload"  # the clip in its job's folder; what a visitor calls it never names a file
RESULT = "result.json"
# What a finished job's folder holds for its visitor, and what it is called when downloaded.
FILES = {
    RESULT: "application/json",
    "result.csv": "text/csv; charset=utf-8",
    "subtitles.vtt": "text/vtt; charset=utf-8",
    "video.mp4": "video/mp4",
    "flow.mp4": "video/mp4",
    "attention.mp4": "video/mp4",
    "annotated.mp4": "video/mp4",
}


class State(StrEnum):
    """In this order; a job ends done or failed."""

    RECEIVING = "receiving"
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (State.DONE, State.FAILED)


@dataclass(eq=False)
class Job:
    """Mutable, and guarded by the service's lock.

    Attributes:
        id: random; who knows it may see the job and end it.
        name: what the visitor calls the clip.
        stage: what the worker does, for a person to read.
        progress: in [0, 1].
        error: a sentence, and what mends it.
        version: grows with every change.
        removed: its visitor does not want it any more.
        ended_at: by the monotonic clock.
    """

    id: str
    client: str
    name: str
    folder: Path
    state: State = State.RECEIVING
    stage: str = ""
    progress: float = 0.0
    error: dict[str, str] | None = None
    result: dict[str, Any] | None = None
    version: int = 0
    removed: bool = False
    ended_at: float = 0.0

    def change(self, **values: Any) -> None:
        """Set attributes, and count."""
        for name, value in values.items():
            setattr(self, name, value)
        if self.state.ended and not self.ended_at:
            self.ended_at = time.monotonic()
        self.version += 1
