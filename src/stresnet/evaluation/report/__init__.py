"""A comparison as a folder to read, to compute with, and to hand on.

report.json      every number
report.md        the table, as text
index.html       the page: one file that needs nothing else
scores/*.npz     the scores of each network, protocol and fold (see `evaluate`)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.report.page import render
from stresnet.evaluation.report.summary import summarise
from stresnet.evaluation.report.text import console_table, markdown
from stresnet.files import atomic_write

__all__ = ["console_table", "write_report"]


def write_report(comparison: Comparison, folder: str | Path) -> dict[str, Any]:
    """Write `report.json`, `report.md` and `index.html`; return the numbers.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    summary = summarise(comparison)
    texts = {
        "report.json": json.dumps(summary, indent=1, allow_nan=False) + "\n",
        "report.md": markdown(summary),
        "index.html": render(summary, comparison.store),
    }
    for name, text in texts.items():
        with atomic_write(Path(folder) / name) as partial:
            # File names need not be UTF-8; what is left of such bytes cannot be encoded.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return summary
