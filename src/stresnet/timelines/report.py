"""The report of timelines: report.json and one offline page.

The page shows the true and the found timeline of each recording one above the other, and plays the
longest stretches where they differ.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.encode import video_writer
from stresnet.errors import StoreError
from stresnet.evaluation.bootstrap import Estimate
from stresnet.files import write_text
from stresnet.pages import data_uri, render_page
from stresnet.timelines.evaluate import TimelineEvaluation
from stresnet.timelines.measures import Judged, differences

WORST = 6  # places that are played
BEFORE, LONGEST = 1.0, 8.0  # seconds before such a place, and of it
PLAYED_SIDE = 180  # pixels, at most, of the short side
SECONDS = ("onset", "offset")  # measures in seconds; all others are shares of 1
SHOWN = ("mAP", "mAP@0.5", "F1@10", "F1@25", "F1@50", "edit", "frame_accuracy",
         "labelled_accuracy", "onset", "offset")  # fmt: skip


def write_timeline_report(evaluation: TimelineEvaluation, folder: str | Path) -> dict[str, Any]:
    """Write `report.json` and `index.html`; return the numbers.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    summary = summarise(evaluation)
    page = render_page(
        "timelines.html",
        summary=summary,
        header=["", *SHOWN],
        rows=table_rows(summary),
        hues=hues(evaluation.class_names),
        worst=worst_places(evaluation),
    )
    numbers = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_text(Path(folder) / "report.json", numbers)
    write_text(Path(folder) / "index.html", page)
    return summary


def summarise(evaluation: TimelineEvaluation) -> dict[str, Any]:
    """Return every number, as plain values for JSON; what could not be measured is None."""
    return {
        "data": evaluation.data,
        "model": evaluation.model,
        "class_names": list(evaluation.class_names),
        "protocol": evaluation.protocol,
        "device": evaluation.device,
        "precision": evaluation.precision,
        "seconds": sum(each.duration for each in evaluation.judged),
        "segments": sum(len(each.truth) for each in evaluation.judged),
        "sources": len({each.source for each in evaluation.judged}),
        "rows": [
            {
                "name": name,
                "settings": asdict(settings),
                "measures": {key: _plain(value) for key, value in measures.items()},
            }
            for name, (settings, measures) in evaluation.rows.items()
        ],
        "recordings": [_recording(each) for each in evaluation.judged],
        "failures": dict(evaluation.failures),
        "warnings": list(evaluation.warnings),
    }


def table_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return each row's name and measures, as text."""
    return [
        [row["name"], *(in_words(name, row["measures"][name]) for name in SHOWN)]
        for row in summary["rows"]
    ]


def in_words(name: str, value: Mapping[str, float] | None) -> str:
    """`63.2 (51.0-70.4)` per cent, or seconds; a dash where there is nothing to measure."""
    if value is None:
        return "–"
    scale, form = (1, ".2f") if name in SECONDS else (100, ".1f")
    low, middle, high = (format(scale * value[key], form) for key in ("low", "value", "high"))
    return f"{middle} ({low}–{high})"


def timeline_table(summary: Mapping[str, Any]) -> Table:
    """Return the measures for a terminal, one per line."""
    rows = table_rows(summary)
    table = Table(
        "measure",
        *(row[0] for row in rows),
        title=escape(f"{len(summary['recordings'])} recordings of {summary['data']}"),
    )
    for place, name in enumerate(SHOWN, 1):
        unit = ", s" if name in SECONDS else ", %"
        table.add_row(name.replace("_", " ") + unit, *(row[place] for row in rows))
    return table


def hues(class_names: Sequence[str]) -> dict[str, int]:
    """Give each class a hue, in degrees, spread evenly around the colour wheel."""
    return {name: round(360 * k / len(class_names)) for k, name in enumerate(sorted(class_names))}


def worst_places(evaluation: TimelineEvaluation) -> list[dict[str, Any]]:
    """Return the longest stretches where found and true labels differ, with a video of each."""
    places = []
    for judged, scored in zip(evaluation.judged, evaluation.scored, strict=True):
        for start, end, found, true in _wrong(judged):
            places.append((end - start, start, end, found, true, judged.name, scored.stored))
    places.sort(key=lambda place: -place[0])
    return [
        {
            "name": name,
            "start": start,
            "end": end,
            "found": found,
            "true": true,
            "video": _played(stored, start, end),
        }
        for _, start, end, found, true, name, stored in places[:WORST]
    ]


def _wrong(judged: Judged) -> list[tuple[float, float, str | None, str | None]]:
    """Stretches with one and the same wrong label, each as long as it lasts."""
    stretches: list[tuple[float, float, str | None, str | None]] = []
    for start, end, found, true in differences(judged.found, judged.truth, judged.duration):
        if found == true:
            continue
        if stretches and stretches[-1][1:] == (start, found, true):
            stretches[-1] = (stretches[-1][0], end, found, true)
        else:
            stretches.append((start, end, found, true))
    return stretches


def _played(stored: StoredVideo, start: float, end: float) -> str | None:
    """An mp4 as a data URI, from a second before the place; None if no frame can be shown."""
    try:
        times = stored.times
        begin = max(start - BEFORE, float(times[0]))
        wanted = np.flatnonzero((times >= begin) & (times <= min(end, begin + LONGEST)))
        if not wanted.size:  # the place is inside a pause
            return None
        step = max(min(stored.height, stored.width) // PLAYED_SIDE, 1)
        height, width = (side // step // 2 * 2 for side in (stored.height, stored.width))
        with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
            path = Path(scratch, "place.mp4")
            with video_writer(path) as writer:
                for index in wanted:
                    image = stored.frames([int(index)])[0, ::step, ::step][:height, :width]
                    writer.add(np.ascontiguousarray(image), float(times[index] - times[wanted[0]]))
            return data_uri(path.read_bytes(), "video/mp4")
    except StoreError:
        return None


def _recording(each: Judged) -> dict[str, Any]:
    return {
        "name": each.name,
        "duration": each.duration,
        "true": [asdict(span) for span in each.truth],
        "found": [asdict(span) for span in each.found],
    }


def _plain(value: Estimate) -> dict[str, float] | None:
    return None if math.isnan(value.value) else asdict(value)
