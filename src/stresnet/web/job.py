"""One clip on its way through the server, and what one visitor may ask for."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from stresnet.errors import UsageError

UPLOAD = "upload"  # the clip in its job's folder; what a visitor calls it never names a file
RESULT = "result.json"
# What a finished job's folder holds for its visitor, and the media type.
FILES = {
    RESULT: "application/json",
    "result.csv": "text/csv; charset=utf-8",
    "subtitles.vtt": "text/vtt; charset=utf-8",
    "video.mp4": "video/mp4",
    "flow.mp4": "video/mp4",
    "attention.mp4": "video/mp4",
    "annotated.mp4": "video/mp4",
}


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for; sizes in bytes, durations in seconds.

    Attributes:
        upload_bytes: of one file.
        upload_seconds: that sending it may take.
        video_seconds: length of a clip.
        work_seconds: that the worker may spend on one clip.
        work_bytes: of memory that the worker may take for one clip, in addition to the model's.
        keep_seconds: that a finished job's files are kept.
        jobs_waiting: of all clients together, including those being sent.
        jobs_of_client: unfinished ones of one client.

    Raises:
        UsageError: a limit is not above 0.
    """

    upload_bytes: int = 200_000_000
    upload_seconds: float = 300.0
    video_seconds: float = 60.0
    work_seconds: float = 900.0
    work_bytes: int = 8_000_000_000
    keep_seconds: float = 1800.0
    jobs_waiting: int = 40
    jobs_of_client: int = 5

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UsageError(f"{field.name} is {getattr(self, field.name)}, expected above 0")


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


@dataclass(frozen=True)
class JobView:
    """A job as its visitor sees it.

    Attributes:
        id: random; whoever knows it may see the job and end it.
        name: what the visitor calls the clip.
        state: receiving, waiting, working, done or failed.
        version: for `after`; changes whenever the rest does.
        ahead: how many jobs come before this one while it waits.
        stage: what is done now, for a person to read.
        progress: in [0, 1].
        error: why it failed (`problem`) and how to fix it (`remedy`).
        result: when done: duration in seconds, predictions (best first: label, score, and the score
            of each stream, appearance and motion), segments (start and end in seconds, label,
            scores), windows (scores of all classes over time), explained (what each stream
            contributed), warnings, device and precision.
        files: when done: what can be fetched from /files/.
    """

    id: str
    name: str
    state: str
    version: int
    ahead: int
    stage: str
    progress: float
    error: dict[str, str] | None
    result: dict[str, Any] | None
    files: list[str]


@dataclass(eq=False)
class Job:
    """A job, mutable and guarded by the service's lock. In addition to `JobView` it has:

    Attributes:
        version: grows with every change.
        removed: its visitor no longer wants it.
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
        """Set attributes, and count the change."""
        for name, value in values.items():
            setattr(self, name, value)
        if self.state.ended and not self.ended_at:
            self.ended_at = time.monotonic()
        self.version += 1
