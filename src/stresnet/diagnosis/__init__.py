"""What works on this machine, and which videos cannot be used. `stresnet doctor` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stresnet.diagnosis.environment import Finding, State, examine_environment
from stresnet.diagnosis.videos import VideoCondition, examine_videos
from stresnet.progress import OnProgress, silent

__all__ = ["Diagnosis", "Finding", "State", "VideoCondition", "doctor"]


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found; `videos` is empty if it was asked about none."""

    environment: tuple[Finding, ...]
    videos: tuple[VideoCondition, ...]


def doctor(
    videos: str | Path | None = None,
    *,
    thorough: bool = False,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> Diagnosis:
    """Try what stresnet needs on this machine, and look at videos; arguments of `examine_videos`.

    Raises:
        DatasetError: there is no such file or folder, or no video in it.
        UsageError: `workers` is less than 1.
    """
    environment = examine_environment()
    if videos is None:
        return Diagnosis(environment, ())
    return Diagnosis(
        environment,
        examine_videos(Path(videos), thorough=thorough, workers=workers, on_progress=on_progress),
    )
