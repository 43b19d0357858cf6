"""Many items, each of which is done, was done before, or fails without stopping the others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.failures import write_failures
from stresnet.workers import Tell, run_isolated

Job = TypeVar("Job")
OnProgress = Callable[[int, int, str], None]  # items finished, items in all, name


def silent(finished: int, total: int, name: str) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class BatchReport:
    """What became of the items, by name, in the order given.

    Attributes:
        done: in this run.
        skipped: done before, and intact.
        failures: (name, reason) of those that could not be done.
    """

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]


def run_batch(
    function: Callable[[Job, Tell], bool],
    jobs: Mapping[str, Job],
    *,
    workers: int,
    failures: Path,
    on_progress: OnProgress = silent,
    on_news: Callable[[str, Any], None] = lambda name, news: None,
) -> BatchReport:
    """Run the named jobs in worker processes; list those that fail in the CSV file `failures`.

    Args:
        function: does a job and returns True, or False if there is nothing to do. Called as
            function(job, tell); what it tells comes to `on_news` with the job's name.

    Raises:
        EnvironmentProblem: a job met one, as a full disk; the others could only meet it too.
    """
    outcomes: dict[str, bool | Exception] = {}
    running = run_isolated(
        _Named(function),
        list(jobs.items()),
        workers=workers,
        on_news=lambda named, news: on_news(named[0], news),
    )
    with closing(running):
        for (name, _), outcome in running:
            if isinstance(outcome, EnvironmentProblem):
                raise outcome
            outcomes[name] = outcome
            on_progress(len(outcomes), len(jobs), name)
    in_order = [(name, outcomes[name]) for name in jobs]
    report = BatchReport(
        done=tuple(name for name, outcome in in_order if outcome is True),
        skipped=tuple(name for name, outcome in in_order if outcome is False),
        failures=tuple(
            (name, str(error)) for name, error in in_order if isinstance(error, Exception)
        ),
    )
    write_failures(failures, report.failures)
    return report


@dataclass(frozen=True)
class _Named:
    """A job's function, for jobs that travel with their names."""

    function: Callable[[Any, Tell], bool]

    def __call__(self, named: tuple[str, Any], tell: Tell) -> bool:
        return self.function(named[1], tell)


def worker_count(wished: int | None, jobs: int) -> tuple[int, int]:
    """(processes, threads in each): as many as wished or as there are cores, no idle ones.

    Raises:
        UsageError: fewer than 1 are wished for.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min((cores or 1) if wished is None else wished, max(jobs, 1))
    if workers < 1:
        raise UsageError(f"{workers} workers, expected at least 1")
    return workers, max((cores or 1) // workers, 1)


def require_writable(folder: Path) -> None:
    """Make the folder, before any work is done for it.

    Raises:
        EnvironmentProblem: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder}: cannot be written ({error.strerror})", remedy="choose another output folder"
        ) from error
