"""What a worker process does: job after job, until it is ended or its parent dies."""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, TypeAlias

from stresnet.errors import JobError, StresnetError
from stresnet.signals import ending_signals, send_later

Line: TypeAlias = "Connection[Any, Any]"  # to a worker: jobs go there, reports and outcomes come

_number = 0
_home: Line | None = None  # in a worker process: the line to its parent
_ending = False  # whether a signal has come


@dataclass(frozen=True)
class Share:
    """A sign of life from a worker: how much of its job is done, from 0 to 1."""

    of_job: float


class Started:
    """A worker's first message: it has all that it needs, and waits for a job."""


def report_progress(share: float) -> None:
    """Give a sign of life from a job, and say how much of it is done, from 0 to 1.

    Does nothing outside a worker process.
    """
    if _home is not None:
        _home.send(Share(share))


def worker_number() -> int:
    """The number of this worker process among its parent's, from 0; 0 in any other process."""
    return _number


def work(line: Line, function: Callable[[Any], Any], number: int) -> None:
    """What a worker process does, until it is ended."""
    global _home, _number
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    for ending in ending_signals():
        signal.signal(ending, _end)
    sys.unraisablehook = _end_again
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _home, _number = line, number
    with suppress(EOFError, ConnectionError):  # the parent is dead
        line.send(Started())
        while True:
            job = line.recv()
            try:
                outcome = function(job)
            except StresnetError as error:
                outcome = error
            except Exception as error:  # as text, since not every exception survives pickling
                outcome = JobError(f"{type(error).__name__}: {error}")
            line.send(outcome)


def _end(number: int, frame: FrameType | None) -> None:
    """Raise an exception, so that files are removed, and ignore such signals from now on."""
    global _ending
    _ending = True
    for ending in ending_signals():
        # Not by SIG_IGN: Python reports a signal as an error that came just before.
        signal.signal(ending, _heard)
    sys.exit(128 + number)


def _end_again(unraisable: Any) -> None:
    """End once more where Python dropped the exception of `_end`, as in a library's callback."""
    ended = unraisable.exc_value
    if not isinstance(ended, SystemExit) or not isinstance(ended.code, int):
        if not _ending:  # else an object that the exception left half made, as llvmlite's
            sys.__unraisablehook__(unraisable)
        return
    for ending in ending_signals():
        signal.signal(ending, _end)
    _thread.start_new_thread(send_later, (ended.code - 128,))


def _heard(number: int, frame: FrameType | None) -> None:
    """Do nothing: the process is ending."""


def _die_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
