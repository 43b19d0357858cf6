"""failures.csv: which items of a run failed, and why."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from stresnet.files import whole_file

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_failures(path: Path, failures: Sequence[tuple[str, str]]) -> None:
    """Write (name, reason) of each failure as CSV; without any, remove the file of a former run.

    Bytes of a name that are not UTF-8 are written as escapes.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    if not failures:
        path.unlink(missing_ok=True)
        return
    with (
        whole_file(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(("video", "reason"))
        table.writerows((_inert(name), _inert(reason)) for name, reason in failures)


def _inert(cell: str) -> str:
    """An apostrophe keeps a spreadsheet from running a cell as a formula (OWASP ASVS 1.2.10)."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
