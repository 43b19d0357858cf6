"""What one visitor may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from stresnet.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, durations in seconds.

    Attributes:
        upload_bytes: of one file.
        upload_seconds: that sending it may take.
        video_seconds: length of a clip.
        work_seconds: that the worker may spend on one clip.
        keep_seconds: that a finished job's files are kept.
        jobs_waiting: of all clients together, those being sent included.
        jobs_of_client: unfinished ones of one client.

    Raises:
        UsageError: a limit is not above 0.
    """

    upload_bytes: int = 200_000_000
    upload_seconds: float = 300.0
    video_seconds: float = 60.0
    work_seconds: float = 900.0
    keep_seconds: float = 1800.0
    jobs_waiting: int = 40
    jobs_of_client: int = 5

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UsageError(f"{field.name} is {getattr(self, field.name)}, expected above 0")
