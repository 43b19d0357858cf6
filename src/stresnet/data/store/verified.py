"""Which prepared videos were found intact, so that their bytes are not read again at each start.

    STORE/.verified.json    for each video, how its source and its store looked when their contents
                            were compared: size, times of change, inode

A file that looks different, as a copy does, is compared by its content again. What only the content
shows, as a bit that a disk has flipped, is found when the picture is read (each has a checksum), by
`stresnet prepare --verify`, and by `stresnet check`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stresnet.errors import EnvironmentProblem
from stresnet.files import atomic_write

FILE = ".verified.json"
SETTLED_SECONDS = 2.0  # a younger file may change once more without a sign: clocks are coarse


class Look(NamedTuple):
    """What one sees of a file without reading it."""

    size: int
    modified: int  # ns
    changed: int  # ns; unlike `modified`, it cannot be set
    inode: int

    @classmethod
    def of(cls, path: Path) -> Look | None:
        """None where there is no such file."""
        try:
            status = path.stat()
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    @property
    def settled(self) -> bool:
        return time.time() - max(self.modified, self.changed) / 1e9 > SETTLED_SECONDS


@dataclass(frozen=True)
class Verified:
    """One prepared video, as it was when it was found intact and made from its source.

    Attributes:
        source: None where the video was gone.
        preparation: a digest of how it was to be prepared.
        warnings: those of the store.
    """

    source: Look | None
    store: Look
    preparation: str
    warnings: tuple[str, ...] = ()


def read_verified(store: Path) -> dict[str, Verified]:
    """What is known of a folder's prepared videos, by name; nothing if the record is damaged."""
    try:
        record = json.loads((store / FILE).read_bytes())
        return {
            name: Verified(source and Look(*source), Look(*look), preparation, tuple(warnings))
            for name, (source, look, preparation, warnings) in record.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record_verified(store: Path, found: Mapping[str, Verified]) -> None:
    """Add to a folder's record, but no video whose source is so young that it may change unseen.

    Of two runs that write at the same moment, one may lose what it found: it is found again.
    """
    new = {name: each for name, each in found.items() if not each.source or each.source.settled}
    if not new:
        return
    rows = {
        name: (each.source, each.store, each.preparation, each.warnings)
        for name, each in sorted((read_verified(store) | new).items())
    }
    with (
        suppress(EnvironmentProblem),  # only the next start is slower
        atomic_write(store / FILE) as partial,
    ):
        partial.write_text(json.dumps(rows, separators=(",", ":")))
