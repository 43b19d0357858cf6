"""BORIS: exported events, tabular or aggregated, as TSV or CSV (Friard and Gamba, 2016).

Tabular events have a row for each START, STOP and POINT (column `Behavior type`, in older versions
`Status`); aggregated events have a row for each event, with `Start (s)` and `Stop (s)`. Older
versions put a few lines about the observation above the table.

Where several files are played one after the other, times run on across them: the durations before
are subtracted. A time offset of the observation was added to the media's time, and is subtracted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path, PureWindowsPath

from stresnet.data.annotations.annotation import Annotation, cell, seconds_of, unreadable

MEDIA = ("Media file name", "Media file path", "Media file")
NO_TIME = ("", "NA", "nan", "NaN", "None")
AGGREGATED = (
    "Observation id", "Observation date", "Description", "Observation type", "Source",
    "Time offset (s)", "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject",
    "Observation duration by subject by observation", "Behavior", "Behavioral category",
    "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name",
    "Image index start", "Image index stop", "Image file path start", "Image file path stop",
    "Comment start", "Comment stop",
)  # fmt: skip
Row = Mapping[str, str]


def boris_header(rows: Sequence[Sequence[str]]) -> int | None:
    """Return the number of the row that names BORIS's columns; None if there is none."""
    for number, row in enumerate(rows[:60]):
        names = {name.strip() for name in row}
        if "Behavior" in names and names & {"Start (s)", "Time"}:
            return number
    return None


def read_boris(path: Path, rows: Sequence[Sequence[str]], header: int) -> list[Annotation]:
    """Read the events below the row `header`.

    Raises:
        DatasetError: a state event has no STOP, or a cell is not as BORIS writes it.
    """
    names = [name.strip() for name in rows[header]]
    found: list[Annotation] = []
    problems: list[str] = []
    started: dict[tuple[str, ...], list[tuple[int, Row]]] = {}
    for number, cells in enumerate(rows[header + 1 :], header + 2):
        if not any(text.strip() for text in cells):
            continue
        row = dict(zip(names, cells, strict=False))
        try:
            if "Start (s)" in names:
                point = cell(row, "Behavior type").upper() == "POINT"
                found.append(_event(row, row, number, point=point))
                continue
            state = cell(row, "Behavior type", "Status").upper()
            event = tuple(
                cell(row, name) for name in names
                if name in ("Observation id", "Subject", "Behavior") or name.startswith("Modifier")
            )  # fmt: skip
            if state == "POINT":
                found.append(_event(row, row, number, point=True))
            elif state == "START":
                started.setdefault(event, []).append((number, row))
            elif state == "STOP" and started.get(event):
                began, start = started[event].pop(0)
                found.append(_event(start, row, began))
            else:
                problems.append(f"line {number}: {state or 'no type'} without a START")
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    problems += [
        f"line {number}: {cell(row, 'Behavior')} has no STOP"
        for events in started.values()
        for number, row in events
    ]
    if problems:
        raise unreadable(path, "; ".join(problems[:10]))
    return found


def _event(start: Row, stop: Row, number: int, *, point: bool = False) -> Annotation:
    media, before = _media(start)
    begins, in_frames = _time(start, "Start (s)", "Time", "Image index start", "Image index")
    ends, _ = _time(stop, "Stop (s)", "Time", "Image index stop", "Image index")
    offset = 0.0 if in_frames else before + _number(cell(start, "Time offset (s)") or "0")
    fps = re.match(r"\d+([.,]\d+)?", cell(start, "FPS (frame/s)", "FPS"))
    rate = _number(fps[0]) if fps else 0.0
    return Annotation(
        media,
        cell(start, "Behavior"),
        begins - offset,
        None if point else ends - offset,
        in_frames,
        rate or None,
        where=f"line {number}",
    )


def _time(row: Row, *names: str) -> tuple[float, bool]:
    """Return seconds, or the number of a frame and True where events have no time."""
    if (text := cell(row, *names[:2])) not in NO_TIME:
        return seconds_of(text), False
    if (text := cell(row, *names[2:])) not in NO_TIME:
        return _number(text), True
    raise ValueError("has neither a time nor an image index")


def _number(text: str) -> float:
    """Like `seconds_of`, take a decimal comma: spreadsheets in many languages write it."""
    return float(text.replace(",", "."))


def _media(row: Row) -> tuple[str, float]:
    """Return the file that an event lies in, and the seconds of the files played before it."""
    files = [
        re.sub(r"^\s*(player #?\d+\s*:?)?\s*", "", part)
        for part in re.split(r"[;|\n]", cell(row, *MEDIA, "Source"))
    ]
    media = files[0]
    played = [
        re.sub(r"^\s*player #?1\s*:?\s*", "", part)
        for part in re.split(r"[;|\n]", cell(row, "Source"))
        if not re.match(r"\s*player #?[2-9]", part)
    ]
    names = [PureWindowsPath(part.strip()).name for part in played]
    name = PureWindowsPath(media.strip()).name
    if len(names) < 2 or name not in names:
        return media.strip(), 0.0
    lengths = [
        _number(part) for part in re.split(r"[;|\n]", cell(row, "Media duration (s)")) if part
    ]
    if len(lengths) < len(names):
        raise ValueError(f"{len(names)} files were played, and their durations are not given")
    return media.strip(), [0.0, *accumulate(lengths)][names.index(name)]


def to_boris(
    segments: Sequence[tuple[float, float, str, float | None]],
    video: Path,
    *,
    duration: float,
    fps: float,
) -> str:
    """Return aggregated events, as BORIS exports them in TSV.

    Args:
        segments: start and end in seconds, label, score in [0, 1] or None (a comment).
        duration, fps: of the video, seconds and frames per second.
    """
    lines = ["\t".join(AGGREGATED)]
    for start, end, label, score in segments:
        event = {
            "Observation id": video.stem,
            "Observation type": "Media file",
            "Source": f"player #1:{video.name}",
            "Time offset (s)": "0.0",
            "Media duration (s)": f"{duration:.3f}",
            "FPS (frame/s)": f"{fps:.3f}",
            "Subject": "No focal subject",
            "Behavior": " ".join(label.split()),
            "Behavior type": "STATE",
            "Start (s)": f"{start:.3f}",
            "Stop (s)": f"{end:.3f}",
            "Duration (s)": f"{end - start:.3f}",
            "Media file name": video.name,
            "Image index start": str(round(start * fps)),
            "Image index stop": str(round(end * fps)),
            "Comment start": "" if score is None else f"score {score:.2f}",
        }
        lines.append("\t".join(event.get(name, "") for name in AGGREGATED))
    return "\n".join(lines) + "\n"
