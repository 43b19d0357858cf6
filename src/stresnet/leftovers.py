"""What killed runs leave behind: partial files and folders whose writer is gone."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def remove_leftovers(targets: Iterable[Path]) -> None:
    """Remove the partial files and folders of these targets, named as by `files.whole_file`.

    Those of a process that still runs on this machine stay. Machines that share a folder must
    therefore write different targets at a time.
    """
    names_in: dict[Path, set[str]] = defaultdict(set)
    for target in targets:
        names_in[target.parent].add(target.name)
    for folder, names in names_in.items():
        for partial in folder.glob(".*.partial"):
            name, _, pid = partial.name[1:].removesuffix(".partial").rpartition(".")
            if name in names and pid.isdecimal() and not _runs(int(pid)):
                if partial.is_dir():
                    shutil.rmtree(partial)
                else:
                    partial.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):  # another user's; a system without /proc
        return True
    return state != b"Z"  # dead, and not collected by its parent, as is common in containers
