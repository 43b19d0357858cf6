"""Every error that stresnet raises on purpose.

    StresnetError
    ├── UsageError          an argument makes no sense                        exit code 2
    ├── DatasetError        a folder, list or split cannot be used            exit code 2
    ├── WeightsError        a model file or folder cannot be used             exit code 2
    ├── EnvironmentProblem  disk, device or a missing extra                   exit code 3
    ├── VideoError          one video cannot be read                          exit code 1
    ├── StoreError          one prepared video is damaged or not as expected  exit code 1
    ├── JobError            a job crashed, hung, or its process died          exit code 1
    └── TrainingError       training cannot continue                          exit code 1

A message says what was found, what was expected, and how to fix it:

>>> raise VideoError("clip.mp4: has no video stream (audio only)",
...                  remedy="remove it from the folder")
Traceback (most recent call last):
stresnet.errors.VideoError: clip.mp4: has no video stream (audio only). Fix: remove it ...
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

NAMES_SHOWN = 10  # of a list in a message
LINE = "\n  - "  # before each of them, where each has its own


class StresnetError(Exception):
    """Base of all; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}. Fix: {remedy}" if remedy else problem)

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors home; keyword arguments do not survive the default pickling.
        return (_rebuild, (type(self), self.problem, self.remedy))


def _rebuild(kind: type[StresnetError], problem: str, remedy: str) -> StresnetError:
    return kind(problem, remedy=remedy)


class UsageError(StresnetError):
    """An argument makes no sense."""

    exit_code = 2


class DatasetError(StresnetError):
    """A folder, list or split of videos cannot be used as it is."""

    exit_code = 2


class WeightsError(StresnetError):
    """A model file or folder cannot be used: unreadable, or it fits another network."""

    exit_code = 2


class EnvironmentProblem(StresnetError):
    """The machine lacks something: disk space, a device, an optional dependency."""

    exit_code = 3


class VideoError(StresnetError):
    """One video cannot be read; the others are not affected."""


class StoreError(StresnetError):
    """One prepared video is damaged, or was made with other parameters."""


class JobError(StresnetError):
    """A job in a worker process crashed, hung, or raised an error that we did not expect."""


class TrainingError(StresnetError):
    """Training cannot continue; the last good checkpoint is kept."""


def in_short(names: Sequence[str], separator: str = ", ") -> str:
    """The first ten of `names`, and how many more there are, for a message."""
    more = len(names) - NAMES_SHOWN
    shown = separator.join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    # File names need not be UTF-8; what is left of such bytes cannot be printed.
    return shown.encode("utf-8", "backslashreplace").decode()


def in_lines(names: Sequence[str]) -> str:
    """The same as `in_short`, each on a line of its own."""
    return LINE + in_short(names, LINE)


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path for messages: line breaks, direction marks and broken bytes are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in os.fspath(path)
    )
