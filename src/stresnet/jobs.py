"""What the runners of jobs share: one result, a report of all, and an engine that runs them."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from stresnet.errors import EnvironmentProblem, StresnetError
from stresnet.files import atomic_write, inert_cell
from stresnet.progress import OnProgress, silent

Name = TypeVar("Name", bound=Hashable)
Job = TypeVar("Job")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome")

DEADLINE = 600.0  # seconds without a sign of life after which a video counts as hung


class Engine(Protocol):
    """What runs jobs: `stresnet.workers.map_in_processes`, or one that does the same elsewhere."""

    def __call__(
        self,
        function: Callable[[Job], Result],
        jobs: Mapping[Name, Job],
        *,
        workers: int | None = None,
        deadline: float | None = DEADLINE,
        on_progress: OnProgress = silent,
    ) -> Generator[tuple[Name, Result | StresnetError], None, None]:
        """See `stresnet.workers.map_in_processes`."""


@dataclass(frozen=True)
class Done:
    """The result of a named job, for `job_report`.

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
    """What became of the jobs, sorted by name.

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


def saving(
    outcomes: Generator[Outcome, None, None], save: Callable[[], None], seconds: float
) -> Generator[Outcome, None, None]:
    """Call `save` now and then while outcomes are taken, and at the end, however it comes."""
    saved = time.monotonic()
    try:
        with closing(outcomes):
            for outcome in outcomes:
                yield outcome
                if time.monotonic() - saved > seconds:
                    save()
                    saved = time.monotonic()
    finally:
        save()


def job_report(
    outcomes: Generator[tuple[str, Done | StresnetError], None, None],
    failures: Path,
    *,
    on_done: Callable[[str, Done], None] = lambda name, done: None,
) -> JobReport:
    """Run jobs to their end; list those that fail in the CSV file `failures`.

    Args:
        outcomes: of an engine.
        on_done: called with the name and the result of each job that did not fail.

    Raises:
        EnvironmentProblem: a job met one, such as a full disk; the others could only meet it too.
    """
    done: dict[str, Done] = {}
    failed: list[tuple[str, str]] = []
    with closing(outcomes):
        for name, outcome in outcomes:
            if isinstance(outcome, EnvironmentProblem):
                raise outcome
            if isinstance(outcome, StresnetError):
                failed.append((name, str(outcome)))
            else:
                done[name] = outcome
                on_done(name, outcome)
    report = JobReport(
        done=tuple(sorted(name for name in done if not done[name].skipped)),
        skipped=tuple(sorted(name for name in done if done[name].skipped)),
        failures=tuple(sorted(failed)),
        warnings=tuple((name, line) for name in sorted(done) for line in done[name].warnings),
    )
    write_failures(failures, report.failures)
    return report


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
