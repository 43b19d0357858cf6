"""A comparison as a folder to read, to compute with, and to hand on.

report.json      every number
index.html       the page, drawn by assets/report.html.j2: one file that needs nothing else
scores/*.npz     the scores of each network, protocol and fold (see `evaluate`)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError
from stresnet.evaluation.comparison import Comparison
from stresnet.evaluation.report.pictures import Strip, strip
from stresnet.evaluation.report.summary import summarise
from stresnet.evaluation.report.table import console_table, table_cells
from stresnet.files import atomic_write
from stresnet.pages import render_page

__all__ = ["console_table", "render", "write_report"]

PAIRS_WITH_PICTURES = 5
COUNTS_UP_TO = 12  # classes; in larger matrices a count would not fit its cell


def write_report(comparison: Comparison, folder: str | Path) -> dict[str, Any]:
    """Write `report.json` and `index.html`; return the numbers.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    summary = summarise(comparison)
    texts = {
        "report.json": json.dumps(summary, indent=1, allow_nan=False) + "\n",
        "index.html": render(summary, comparison.store),
    }
    for name, text in texts.items():
        with atomic_write(Path(folder) / name) as partial:
            # File names need not be UTF-8; what is left of such bytes cannot be encoded.
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return summary


def render(summary: Mapping[str, Any], store: Path) -> str:
    """Draw the page of a summary; pictures come from the store, as far as it has them."""
    pictured = [pair["example"] for pair in summary["confused_pairs"][:PAIRS_WITH_PICTURES]]
    pictured += [video["name"] for video in summary["hardest"]]
    accuracies, names = summary["rows"]["fused"]["class_accuracies"], summary["class_names"]
    tested = [place for place, accuracy in enumerate(accuracies) if accuracy is not None]
    return render_page(
        "report",
        summary=summary,
        table=table_cells(summary),
        counts_up_to=COUNTS_UP_TO,
        worst_first=sorted(tested, key=lambda place: (accuracies[place], names[place])),
        strips={name: _strip(store, name) for name in pictured},
    )


def _strip(store: Path, name: str) -> Strip | None:
    try:
        return strip(StoredVideo(store_path(store, name)))
    except StoreError:
        return None
