"""Whether prepared videos are intact: every byte, and flow that fits the frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.store.flow_check import evidence, finding
from stresnet.data.store.index import Indexed, Look, find_stores
from stresnet.data.store.location import Place, Slice
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StresnetError, UsageError
from stresnet.files import address_of
from stresnet.jobs import Engine
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        videos: how many were looked at.
        failures: (name, reason) of those that are damaged or were made differently.
        warnings: (name, what was lost when the video was decoded).
        by_finding: sentence -> names of the videos that show it.
        index: what is worth knowing about each intact one, by name.
    """

    videos: int
    failures: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]
    by_finding: Mapping[str, tuple[str, ...]]
    index: Mapping[str, Indexed]

    @property
    def all_well(self) -> bool:
        """Whether no store is damaged and no flow is odd; videos may have been cut off."""
        return not (self.failures or self.by_finding)


def check_stores(
    stores: str | Path | Sequence[tuple[Place, str]],
    *,
    workers: int | None = None,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> CheckReport:
    """Check prepared videos: every byte, and the flow.

    Args:
        stores: a prepared video, or a folder of them, or of shards; or each as (place, name).
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).

    Raises:
        DatasetError: there is no such folder, or no prepared video in it.
        UsageError: `workers` is less than 1, or the folder is in an object store.
    """
    if isinstance(stores, str | Path):
        if (address := address_of(stores)) is not None:
            raise UsageError(
                f"{address}: prepared videos are read from a disk",
                remedy="copy them to one; shards are checked as well",
            )
        stores = find_stores(Path(stores))
    failures: list[tuple[str, str]] = []
    warnings: list[tuple[str, str]] = []
    outcomes = engine(
        _checked, {name: path for path, name in stores}, workers=workers, on_progress=on_progress
    )
    by_finding: dict[str, list[str]] = defaultdict(list)
    index: dict[str, Indexed] = {}
    for name, outcome in sorted(outcomes):
        if isinstance(outcome, StresnetError):
            failures.append((name, str(outcome)))
            continue
        sentence, found = outcome
        index[name] = found
        warnings += [(name, warning) for warning in found.warnings]
        if sentence:
            by_finding[sentence].append(name)
    return CheckReport(
        videos=len(stores),
        failures=tuple(failures),
        warnings=tuple(warnings),
        by_finding={sentence: tuple(names) for sentence, names in by_finding.items()},
        index=index,
    )


def _checked(place: Place) -> tuple[str, Indexed]:
    """(what seems to be wrong with the flow, what is worth knowing about the video)."""
    stored = StoredVideo(place)
    look = None if isinstance(place, Slice) else Look.of(place)  # before it is read
    stored.verify()
    return finding(evidence(stored)), Indexed.of(stored, source=None, store=look)
