"""Many prepared videos, checked: every bit, and whether the flow belongs to the frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stresnet.batch import OnProgress, silent, worker_count
from stresnet.data.store.flow_check import Evidence, evidence, finding
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError
from stresnet.workers import Tell, run_isolated


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        videos: how many were looked at.
        failures: (name, reason) of those that are damaged or were made otherwise.
        by_finding: sentence -> names of the videos that show it each on its own.
        together: what only the evidence of all videos together bears out, or nothing.
    """

    videos: int
    failures: tuple[tuple[str, str], ...]
    by_finding: Mapping[str, tuple[str, ...]]
    together: str

    @property
    def all_well(self) -> bool:
        return not (self.failures or self.by_finding or self.together)


def find_stores(place: Path) -> list[tuple[Path, str]]:
    """A prepared video, or all of them in a folder at any depth: (path, name), sorted by name.

    Raises:
        DatasetError: there is no such place, or no prepared video in it.
    """
    if place.is_file():
        return [(place, place.name)]
    found = sorted((path.relative_to(place).as_posix(), path) for path in place.rglob("*.zip"))
    if not found:
        raise DatasetError(
            f"{place}: there are no prepared videos here", remedy="run `stresnet prepare`"
        )
    return [(path, name) for name, path in found]


def check_stores(
    stores: list[tuple[Path, str]],
    *,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> CheckReport:
    """Check prepared videos, each of them (path, name).

    Raises:
        UsageError: `workers` is less than 1.
    """
    workers, _ = worker_count(workers, len(stores))
    failures: list[tuple[str, str]] = []
    seen: dict[str, Evidence] = {}
    outcomes = run_isolated(_evidence, stores, workers=workers)
    for finished, ((_, name), outcome) in enumerate(outcomes, start=1):
        if isinstance(outcome, Exception):
            failures.append((name, str(outcome)))
        else:
            seen[name] = outcome
        on_progress(finished, len(stores), name)

    by_finding: dict[str, tuple[str, ...]] = {}
    total = Evidence()
    for name in sorted(seen):
        total += seen[name]
        if sentence := finding(seen[name]):
            by_finding[sentence] = (*by_finding.get(sentence, ()), name)
    together = finding(total)
    return CheckReport(
        videos=len(stores),
        failures=tuple(sorted(failures)),
        by_finding=by_finding,
        together="" if together in by_finding else together,
    )


def _evidence(named: tuple[Path, str], tell: Tell) -> Evidence:
    stored = StoredVideo(named[0])
    stored.verify()
    return evidence(stored)
