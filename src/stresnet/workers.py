"""Many jobs in worker processes: what crashes, kills or hangs a worker costs one job and no more.

    function(job) -> result                    in a process of its own; `report_progress` on the way
    map_in_processes(function, {name: job})    -> (name, result or error), as they finish

`concurrent.futures` gives up all its jobs when one worker dies, and here one may: decoders crash
or loop on damaged files, and the system kills what takes too much memory. Another engine, such as
`stresnet.cluster`, only needs to yield the same pairs (`stresnet.jobs`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

from stresnet.errors import EnvironmentProblem, JobError, StresnetError, UsageError
from stresnet.jobs import DEADLINE, Job, Name, Result
from stresnet.progress import OnProgress, Progress, silent
from stresnet.signals import ending_signals
from stresnet.worker_process import Share, Started, work

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
    workers = min(_wanted_or_all(wanted, "workers"), max(jobs, 1))
    return workers, max(cores() // workers, 1)


def thread_count(wanted: int | None) -> int:
    """As many threads as are wanted, or one for each core; errors as in `worker_count`."""
    return _wanted_or_all(wanted, "threads")


def _wanted_or_all(wanted: int | None, kind: str) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"{wanted} {kind}, expected at least 1")
    return cores() if wanted is None else wanted


def map_in_processes(
    function: Callable[[Job], Result],
    jobs: Mapping[Name, Job],
    *,
    workers: int | None = None,
    deadline: float | None = DEADLINE,
    on_progress: OnProgress = silent,
    spare: list[Worker] | None = None,
) -> Generator[tuple[Name, Result | StresnetError], None, None]:
    """Yield the name of each job with its result or its error, in the order of completion.

    Jobs start at once, `workers` at a time, and run ahead of the consumer. Function, jobs and
    results travel by pickle. A job whose process dies is tried once more, in another one. Closing
    this generator, or an exception in it, ends the running jobs: they have a few seconds to clean
    up, then they are killed.

    Args:
        workers: processes at a time; None is one for each processor core.
        deadline: seconds that a job may take; each `report_progress` restarts the count. After that
            its process is killed, and the job fails. None: for ever.
        on_progress: gets the jobs finished, with the shares (0 to 1) that running jobs report.
        spare: idle processes that earlier calls with this function left here; this one uses them,
            and leaves its own. None: processes end with the call.

    Raises:
        UsageError: `workers` is less than 1.
        EnvironmentProblem: processes do not start, for example from a script without a main guard.
    """
    workers, _ = worker_count(workers, len(jobs))
    outcomes = _outcomes(function, jobs, workers, deadline, on_progress, spare)
    next(outcomes)  # to where the first jobs have started
    return outcomes


class Worker:
    """A worker process, and the line to it."""

    def __init__(self, function: Callable[[Any], Any], number: int = 0) -> None:
        context = multiprocessing.get_context("spawn")  # forks break threads, ours and libraries'
        self.line, its_end = context.Pipe()
        self.number = number
        self.process = context.Process(target=work, args=(its_end, function, number), daemon=True)
        resource_tracker.ensure_running()  # here, since it lets all signals through
        # Ctrl-C is for the parent, from the worker's first moment.
        with _deferred(), _blocked(signal.SIGINT):
            self.process.start()
        its_end.close()  # here, so that the line breaks when the worker dies
        self.silence = 0.0  # seconds of listening for a sign of life in vain
        self.started = False

    def give(self, job: Any) -> None:
        self.silence = 0.0
        with suppress(ConnectionError):  # the worker is dead, which shows when its line is read
            self.line.send(job)


def _outcomes(
    function: Callable[[Job], Any],
    jobs: Mapping[Name, Job],
    workers: int,
    deadline: float | None,
    on_progress: OnProgress,
    spare: list[Worker] | None,
) -> Generator[Any, None, None]:
    """Like `map_in_processes`, after a first None."""
    waiting = deque(jobs)
    idle: list[Worker] = [] if spare is None else spare
    ending: list[Worker] = []
    busy: dict[Worker, Name] = {}
    died: set[Name] = set()  # jobs whose first process did
    shares: dict[Name, float] = {}
    finished = 0

    def refill() -> None:
        while waiting and len(busy) < workers:
            taken = {worker.number for worker in busy}
            number = next(n for n in range(workers) if n not in taken)
            worker = idle.pop() if idle else Worker(function, number)
            busy[worker] = waiting.popleft()
            worker.give(jobs[busy[worker]])

    try:
        refill()
        yield None
        while busy:
            patience = None
            if deadline is not None:
                patience = max(deadline - max(worker.silence for worker in busy), 0.0)
            began = time.monotonic()
            ready = wait([worker.line for worker in busy], patience)
            # Only listening counts: the consumer, below, may take its time, and all of us may have
            # been stopped for a while, as by Ctrl-Z.
            listened = min(time.monotonic() - began, patience or 0.0)
            for worker, name in list(busy.items()):
                outcome: Any
                worker.silence += listened
                if worker.line in ready:
                    try:
                        outcome = worker.line.recv()
                        worker.silence = 0.0
                        if isinstance(outcome, Started):
                            worker.started = True
                            continue
                    except (EOFError, ConnectionError):
                        outcome = _end_of(worker)
                        if name not in died:
                            died.add(name)
                            waiting.appendleft(name)
                            del busy[worker]
                            continue
                elif deadline is not None and worker.silence >= deadline:
                    _stop([worker], seconds=0)
                    outcome = JobError(f"it gave no sign of life for {deadline:g} seconds")
                else:
                    continue
                if isinstance(outcome, Share):
                    shares[name] = min(max(outcome.of_job, 0.0), 1.0)
                else:
                    shares.pop(name, None)
                    finished += 1
                on_progress(Progress(finished + sum(shares.values()), len(jobs), str(name)))
                if not isinstance(outcome, Share):
                    del busy[worker]
                    if worker.process.is_alive():
                        idle.append(worker)
                    refill()
                    while spare is None and idle and not waiting:
                        ending.append(idle.pop())  # it ends while the consumer is busy
                        ending[-1].process.terminate()
                    yield name, outcome
            refill()
    finally:
        _stop([*ending, *idle, *busy] if spare is None else [*busy])


def _end_of(worker: Worker) -> JobError:
    """Return the error of the job whose process has died; obey what it died of.

    Raises:
        EnvironmentProblem: it never started, and neither would the next.
    """
    worker.process.join(STOP_SECONDS)
    _pass_on(worker.process.exitcode)
    _stop([worker], seconds=0)
    code = worker.process.exitcode
    if code == 1 and not worker.started:  # by an error of Python
        raise EnvironmentProblem(
            "a worker process could not start (its error is above)",
            remedy='in a script, put the call under `if __name__ == "__main__":`',
        ) from None
    return JobError(f"its process died (exit code {code})")


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Hold a signal back from this thread, and for ever from processes that it starts here."""
    if sys.platform == "win32":
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def _deferred() -> Iterator[None]:
    """Have signals wait: a process abandoned while it starts misses its arguments, and says so.

    Blocking them is not enough, since any thread may take a signal that this one obeys.
    """
    came: list[int] = []
    former = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.getsignal(number) for number in ending_signals()}
    for number, handler in former.items():
        if callable(handler):
            signal.signal(number, lambda heard, frame: came.append(heard))
    try:
        yield
    finally:
        for number, handler in former.items():
            if callable(handler):
                signal.signal(number, handler)
        for heard in came:
            signal.raise_signal(heard)


def _pass_on(exit_code: int | None) -> None:
    """Have a program that obeys signals obey what a worker got: it is for the whole job."""
    for number in ending_signals():
        if exit_code in (-number, 128 + number) and callable(signal.getsignal(number)):
            signal.raise_signal(number)


def _stop(workers: Sequence[Worker], *, seconds: float = STOP_SECONDS) -> None:
    """End workers within `seconds`; kill those that do not answer, as in a decoder that hangs."""
    processes = [worker.process for worker in workers]
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
