"""Jobs in worker processes, where what kills a worker costs one job and no more.

`concurrent.futures` gives up all its jobs when one worker dies, and here one may: decoders crash
on forged files, and the system kills what takes too much memory.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeAlias, TypeVar

from stresnet.errors import StresnetError

Job = TypeVar("Job")
Result = TypeVar("Result")
Line: TypeAlias = "Connection[Any, Any]"  # to a worker: jobs go there, news and outcomes come back
Tell: TypeAlias = Callable[[Any], None]  # what a job sends home before it ends


class JobCrashed(Exception):
    """A job raised what is no `StresnetError`, or its process died."""


@dataclass(frozen=True)
class _News:
    content: Any


def run_isolated(
    function: Callable[[Job, Tell], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    on_news: Callable[[Job, Any], None] = lambda job, news: None,
) -> Generator[tuple[Job, Result | StresnetError | JobCrashed], None, None]:
    """Yield each job with its result, or with what went wrong, in the order of completion.

    The first jobs begin here and now, others when somebody asks for results; each is taken as it
    is begun. Function, jobs, news and results travel by pickle. When this generator is closed or
    interrupted, the jobs under way are ended; they clean up after themselves.

    Args:
        function: called as function(job, tell); what it tells comes to `on_news`.
        workers: processes at a time, at least 1.
    """
    outcomes = _outcomes(function, jobs, workers, on_news)
    next(outcomes)  # to where the first jobs have begun
    return outcomes


def _outcomes(
    function: Callable[[Job, Tell], Result],
    jobs: Iterable[Job],
    workers: int,
    on_news: Callable[[Job, Any], None],
) -> Generator[Any, None, None]:
    """As `run_isolated`, after a first None."""
    waiting = iter(jobs)
    idle: list[tuple[Line, SpawnProcess]] = []
    busy: dict[Line, tuple[SpawnProcess, Job]] = {}

    def begin() -> None:
        for job in islice(waiting, workers - len(busy)):
            line, process = idle.pop() if idle else _start(function)
            with suppress(ConnectionError):  # the worker is dead; its line tells so below
                line.send(job)
            busy[line] = process, job

    try:
        begin()
        yield None
        while busy:
            ready = wait(busy)
            for line in [line for line in busy if line in ready]:
                process, job = busy[line]
                try:
                    outcome = line.recv()
                    if isinstance(outcome, _News):
                        on_news(job, outcome.content)
                        continue
                    idle.append((line, process))
                except (EOFError, ConnectionError):
                    process.join()
                    outcome = JobCrashed(f"its process died (exit code {process.exitcode})")
                del busy[line]
                yield job, outcome
            begin()
    finally:
        for line, _ in idle:
            line.close()
        for process, _ in busy.values():
            process.terminate()
        for process in [process for _, process in idle] + [process for process, _ in busy.values()]:
            process.join()


def _start(function: Callable[[Job, Tell], Result]) -> tuple[Line, SpawnProcess]:
    context = multiprocessing.get_context("spawn")  # forks break threads, ours and the libraries'
    line, workers_end = context.Pipe()
    process = context.Process(target=_work, args=(workers_end, function), daemon=True)
    process.start()
    workers_end.close()  # here, so that the line breaks when the worker dies
    return line, process


def _work(line: Line, function: Callable[[Job, Tell], Result]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception, so that files are removed
    with suppress(EOFError, ConnectionError):  # the parent is done with us, or dead
        while True:
            line.send(_outcome(function, line.recv(), lambda news: line.send(_News(news))))


def _outcome(
    function: Callable[[Job, Tell], Result], job: Job, tell: Tell
) -> Result | StresnetError | JobCrashed:
    try:
        return function(job, tell)
    except StresnetError as error:
        return error
    except Exception as error:  # as text, since not every exception survives pickling
        return JobCrashed(f"{type(error).__name__}: {error}")
