"""Many jobs in worker processes: what crashes, kills or hangs a worker costs one job and no more.

    function(job) -> result          in a process of its own; `report_progress` on the way
    map_in_processes(function, jobs) -> (job, result or error), as they finish
    run_jobs(function, named jobs)   -> JobReport, failures.csv

`concurrent.futures` gives up all its jobs when one worker dies, and here one may: decoders crash
or loop on damaged files, and the system kills what takes too much memory. Another engine than
processes, as a cluster's, needs no more than `function` and the named jobs.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from stresnet.errors import EnvironmentProblem, JobError, StresnetError, UsageError
from stresnet.files import atomic_write, inert_cell
from stresnet.progress import OnProgress, Progress, silent

Job = TypeVar("Job")
Result = TypeVar("Result")
Line: TypeAlias = "Connection[Any, Any]"  # to a worker: jobs go there, reports and outcomes come

DEADLINE = 600.0  # seconds without a sign of life after which a video counts as hung
STOP_SECONDS = 5.0  # for a worker to clean up in, before it is killed


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_count(wanted: int | None, jobs: int) -> tuple[int, int]:
    """(processes, threads in each): as many as wanted or as there are cores, and no idle ones.

    Raises:
        UsageError: fewer than 1 are wanted.
    """
    workers = min(cores() if wanted is None else wanted, max(jobs, 1))
    if workers < 1:
        raise UsageError(f"{workers} workers, expected at least 1")
    return workers, max(cores() // workers, 1)


# --- named jobs and their report ----------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The result of a job of `run_jobs`.

    Attributes:
        skipped: there was nothing to do.
        warnings: what was lost, one sentence each.
        value: anything else, for `on_done`.
    """

    skipped: bool = False
    warnings: tuple[str, ...] = ()
    value: Any = None


@dataclass(frozen=True)
class JobReport:
    """What became of the jobs, by name, in the order given.

    Attributes:
        done: in this run.
        skipped: done before, and intact.
        failures: (name, reason) of those that could not be done.
        warnings: (name, what was lost) of jobs done or skipped.
    """

    done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


def run_jobs(
    function: Callable[[Job], Done],
    jobs: Mapping[str, Job],
    *,
    workers: int,
    failures: Path,
    deadline: float | None = DEADLINE,
    on_progress: OnProgress = silent,
    on_done: Callable[[str, Done], None] = lambda name, done: None,
) -> JobReport:
    """Run the named jobs in worker processes; list those that fail in the CSV file `failures`.

    Args:
        deadline: as of `map_in_processes`.
        on_progress: gets the jobs finished, with the shares (0 to 1) that running jobs report.
        on_done: called with the name and the result of each job that did not fail.

    Raises:
        EnvironmentProblem: a job met one, as a full disk; the others could only meet it too.
    """
    outcomes: dict[str, Done | StresnetError] = {}
    shares: dict[str, float] = {}

    def show(name: str) -> None:
        on_progress(Progress(len(outcomes) + sum(shares.values()), len(jobs), name))

    def on_report(named: tuple[str, Job], share: float) -> None:
        shares[named[0]] = min(max(share, 0.0), 1.0)
        show(named[0])

    running = map_in_processes(
        partial(_of_named, function),
        list(jobs.items()),
        workers=workers,
        deadline=deadline,
        on_report=on_report,
    )
    with closing(running):
        for (name, _), outcome in running:
            if isinstance(outcome, EnvironmentProblem):
                raise outcome
            outcomes[name] = outcome
            if isinstance(outcome, Done):
                on_done(name, outcome)
            shares.pop(name, None)
            show(name)
    in_order = [(name, outcomes[name]) for name in jobs]
    done = [(name, outcome) for name, outcome in in_order if isinstance(outcome, Done)]
    report = JobReport(
        done=tuple(name for name, outcome in done if not outcome.skipped),
        skipped=tuple(name for name, outcome in done if outcome.skipped),
        failures=tuple(
            (name, str(error)) for name, error in in_order if isinstance(error, StresnetError)
        ),
        warnings=tuple((name, line) for name, outcome in done for line in outcome.warnings),
    )
    write_failures(failures, report.failures)
    return report


def _of_named(function: Callable[[Job], Done], named: tuple[str, Job]) -> Done:
    return function(named[1])


def write_failures(path: Path, failures: Sequence[tuple[str, str]]) -> None:
    """Write (name, reason) of each failure as CSV; without any, remove an earlier run's file.

    Bytes of a name that are not UTF-8 are written as escapes.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    if not failures:
        path.unlink(missing_ok=True)
        return
    with (
        atomic_write(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(("video", "reason"))
        table.writerows((inert_cell(name), inert_cell(reason)) for name, reason in failures)


# --- worker processes ---------------------------------------------------------------------------


def map_in_processes(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    ahead: int = 0,
    deadline: float | None = None,
    on_report: Callable[[Job, Any], None] = lambda job, content: None,
) -> Generator[tuple[Job, Result | StresnetError], None, None]:
    """Yield each job with its result or its error, in the order of completion.

    Jobs start immediately, up to `workers`; the rest start as results are consumed. Function, jobs,
    reports and results travel by pickle. A job whose process dies is tried once more, in a fresh
    process. Closing this generator, or an exception in it, ends the running jobs: they have a few
    seconds to clean up, then they are killed.

    Args:
        workers: processes at a time, at least 1.
        ahead: further jobs handed to each worker, so that it does not wait for the consumer.
        deadline: seconds that a job may take; each `report_progress` starts them again. After that
            its process is killed, and the job fails.
        on_report: gets what jobs report.
    """
    outcomes = _outcomes(function, jobs, workers, 1 + ahead, deadline, on_report)
    next(outcomes)  # to where the first jobs have started
    return outcomes


def report_progress(content: Any) -> None:
    """Called by a job: a sign of life, for `on_report`. Does nothing outside a worker process."""
    if _home is not None:
        _home.send(_Report(content))


_home: Line | None = None  # in a worker process: the line to its parent


@dataclass(frozen=True)
class _Report:
    content: Any


@dataclass(eq=False)
class _Task(Generic[Job]):
    job: Job
    tried_before: bool = False


class _Worker(Generic[Job]):
    """A process, the line to it, and the tasks that it was given: the first is being done."""

    def __init__(self, function: Callable[[Job], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # forks break threads, ours and libraries'
        self.line, its_end = context.Pipe()
        self.process = context.Process(target=_work, args=(its_end, function), daemon=True)
        self.process.start()
        its_end.close()  # here, so that the line breaks when the worker dies
        self.tasks: deque[_Task[Job]] = deque()
        self.heard = 0.0  # when it last gave a sign of life

    def give(self, task: _Task[Job]) -> None:
        self.tasks.append(task)
        with suppress(ConnectionError):  # the worker is dead, which shows when its line is read
            self.line.send(task.job)


def _outcomes(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int,
    depth: int,
    deadline: float | None,
    on_report: Callable[[Job, Any], None],
) -> Generator[Any, None, None]:
    """As `map_in_processes`, after a first None."""
    waiting = (_Task(job) for job in jobs)
    pool: list[_Worker[Job]] = []
    away = 0.0  # seconds that the consumer took; a deadline is not about them

    def clock() -> float:
        return time.monotonic() - away

    def give(worker: _Worker[Job], task: _Task[Job]) -> None:
        if not worker.tasks:
            worker.heard = clock()
        worker.give(task)

    def started() -> _Worker[Job]:
        pool.append(_Worker(function))
        return pool[-1]

    def refill() -> None:
        for level in range(depth):  # a job for each worker before a second one for any
            room = workers - sum(len(worker.tasks) > level for worker in pool)
            for task in islice(waiting, room):
                free = next((worker for worker in pool if len(worker.tasks) <= level), None)
                give(free or started(), task)

    def lost(worker: _Worker[Job], reason: str) -> JobError | None:
        """End a worker; a fresh one takes its tasks. The first one's error, if it is given up."""
        pool.remove(worker)
        _stop([worker.process], seconds=0)
        worker.line.close()
        error = None
        if not reason and not worker.tasks[0].tried_before:
            worker.tasks[0].tried_before = True
        else:
            reason = reason or f"its process died (exit code {worker.process.exitcode})"
            error = JobError(reason)
            worker.tasks.popleft()
        if worker.tasks:
            fresh = started()
            for task in worker.tasks:
                give(fresh, task)
        return error

    try:
        refill()
        yield None
        while busy := [worker for worker in pool if worker.tasks]:
            patience = None
            if deadline is not None:
                patience = max(min(worker.heard for worker in busy) + deadline - clock(), 0.0)
            ready = wait([worker.line for worker in busy], patience)
            for worker in busy:
                job = worker.tasks[0].job
                if worker.line in ready:
                    try:
                        outcome = worker.line.recv()
                    except (EOFError, ConnectionError):
                        outcome = lost(worker, "")
                        if outcome is None:
                            continue
                    else:
                        worker.heard = clock()
                        if isinstance(outcome, _Report):
                            on_report(job, outcome.content)
                            continue
                        worker.tasks.popleft()
                elif deadline is not None and clock() - worker.heard >= deadline:
                    outcome = lost(worker, f"it gave no sign of life for {deadline:g} seconds")
                else:
                    continue
                asked = time.monotonic()
                yield job, outcome
                away += time.monotonic() - asked
            refill()
    finally:
        for worker in pool:
            if not worker.tasks:
                worker.line.close()  # which ends an idle worker
        _stop([worker.process for worker in pool])


def _stop(processes: Sequence[SpawnProcess], *, seconds: float = STOP_SECONDS) -> None:
    """End processes within `seconds`; kill those that do not answer, as in a decoder that hangs."""
    try:
        for process in processes:
            process.terminate()
        _await(processes, seconds)
    finally:
        for process in processes:
            process.kill()
        _await(processes, STOP_SECONDS)


def _await(processes: Sequence[SpawnProcess], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(until - time.monotonic(), 0.0))


def _work(line: Line, function: Callable[[Job], Any]) -> None:
    """What a worker process does."""
    global _home
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception, so that files are removed
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _home = line
    with suppress(EOFError, ConnectionError):  # the parent is done with us
        while True:
            job = line.recv()
            try:
                outcome = function(job)
            except StresnetError as error:
                outcome = error
            except Exception as error:  # as text, since not every exception survives pickling
                outcome = JobError(f"{type(error).__name__}: {error}")
            line.send(outcome)
    # Nothing is left to remove; an exception while Python ends would only print a traceback.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _die_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
