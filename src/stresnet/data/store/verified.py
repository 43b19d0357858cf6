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
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stresnet.errors import EnvironmentProblem
from stresnet.files import atomic_write

FILE = ".verified.json"
SETTLED_SECONDS = 2.0  # a younger file may change once more without a sign: clocks are coarse
SAVE_SECONDS = 60.0


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


class Recorder:
    """Adds to the record of a folder, now and then and at the end of the block.

    Of two runs that write at the same moment, one may lose what it found: it is found again.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._new: dict[str, Verified] = {}
        self._saved = time.monotonic()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._save()

    def add(self, name: str, found: Verified | None) -> None:
        """Record a video, unless its source is so young that it may still change unseen."""
        if found and (found.source is None or found.source.settled):
            self._new[name] = found
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        if not self._new:
            return
        record: Mapping[str, Verified] = read_verified(self._store) | self._new
        try:
            with atomic_write(self._store / FILE) as partial:
                rows = {
                    name: (each.source, each.store, each.preparation, each.warnings)
                    for name, each in sorted(record.items())
                }
                partial.write_text(json.dumps(rows, separators=(",", ":")))
        except EnvironmentProblem:
            return  # only the next start is slower
        self._new = {}
        self._saved = time.monotonic()
