"""Segments as subtitles and as rows of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stresnet.data.video.container import printable
from stresnet.prediction.predict import Prediction
from stresnet.prediction.ranking import ClassScore
from stresnet.prediction.segments import Segment
from stresnet.prediction.timeline import Timeline

COLUMNS = ("source", "start", "end", "rank", "label", "score", "appearance", "motion")


def to_srt(segments: Sequence[Segment]) -> str:
    """SubRip, which most players read from a file of the video's name."""
    cues = (
        f"{number}\n{_clock(each.start, ',')} --> {_clock(each.end, ',')}\n{_line(each.label)} "
        f"({each.score:.0%})\n"
        for number, each in enumerate(segments, 1)
    )
    return "\n".join(cues)


def to_vtt(segments: Sequence[Segment]) -> str:
    """WebVTT, which browsers read through <track>."""
    cues = (
        f"{_clock(each.start, '.')} --> {_clock(each.end, '.')}\n{_escaped(_line(each.label))} "
        f"({each.score:.0%})\n"
        for each in segments
    )
    return "\n".join(["WEBVTT\n", *cues])


def to_csv(found: Iterable[Timeline | Prediction], *, top_k: int = 5) -> str:
    """One row a segment; of videos without a timeline, one for each of the `top_k` classes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in found:
        for start, end, rank, entry in _rows(each, top_k):
            scores = (f"{s:.4f}" for s in (entry.score, entry.appearance, entry.motion))
            times = f"{start:.3f}", f"{end:.3f}"
            source = _cell(printable(Path(each.source)))
            writer.writerow([source, *times, rank, _cell(entry.label), *scores])
    return text.getvalue()


def _rows(
    found: Timeline | Prediction, top_k: int
) -> Iterator[tuple[float, float, int, Segment | ClassScore]]:
    if isinstance(found, Timeline):
        for segment in found.segments:
            yield segment.start, segment.end, 1, segment
    else:
        for rank, entry in enumerate(found.predictions[:top_k], 1):
            yield 0.0, found.duration, rank, entry


def _clock(seconds: float, point: str) -> str:
    """hh:mm:ss and milliseconds."""
    ms = round(seconds * 1000)
    minutes, ms = divmod(ms, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}{point}{ms % 1000:03d}"


def _line(label: str) -> str:
    """On one line, and without the arrow that ends a cue's times."""
    return " ".join(label.split()).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(text: str) -> str:
    """An apostrophe keeps a spreadsheet from running a cell as a formula (OWASP ASVS 1.2.10)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\0")) else text
