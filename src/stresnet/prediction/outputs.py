"""Results as files: subtitles, tables, and where they go."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path, PurePosixPath

from stresnet.data.annotations.boris import to_boris
from stresnet.data.annotations.elan import to_elan
from stresnet.data.annotations.label_studio import to_label_studio
from stresnet.data.video.folders import is_ours
from stresnet.data.video.probe import probe
from stresnet.errors import UsageError, printable
from stresnet.files import inert_cell, write_text
from stresnet.prediction.result import ClassScore, Prediction, Timeline
from stresnet.prediction.segments import Segment

COLUMNS = ("source", "start", "end", "rank", "label", "score", "appearance", "motion")

# A name that ends like this was meant for a file.
OF_FILES = re.compile(r"\.(mp4|avi|mov|mkv|webm|gif|srt|vtt|eaf|tsv|csv|txt|jsonl?)", re.IGNORECASE)
OF_ANNOTATIONS = (".eaf", ".tsv", ".json")  # people correct them in other programs


def output_paths(out: Path, names: Sequence[str], ending: str) -> list[Path]:
    """Return one path for each video: `out` itself for a single one, else below the folder `out`.

    Args:
        names: relative paths of the videos, with `/`; outputs keep these names in the folder.
        ending: of the outputs, with its dot.

    Raises:
        UsageError: `out` names a file and there are several videos, or a file of another kind; or
            two would get one name.
    """
    if out.suffix.lower() == ending:
        if len(names) > 1:
            raise UsageError(
                f"{out}: one file for {len(names)} videos", remedy="name a folder, without ending"
            )
        return [out]
    if OF_FILES.fullmatch(out.suffix) and not out.is_dir():
        raise UsageError(
            f"{out}: expected a name that ends in {ending}, or that of a folder",
            remedy=f"write to {out.with_suffix(ending)}",
        )
    paths = [out / PurePosixPath(name).with_suffix(ending) for name in names]
    if twice := [str(path) for path, count in Counter(paths).items() if count > 1]:
        raise UsageError(
            f"several videos would be written to {twice[0]}",
            remedy="give them one after the other, or the folder that holds them all",
        )
    return paths


def require_no_annotations(paths: Iterable[Path]) -> None:
    """Raise `UsageError` if a file that may hold somebody's annotations would be replaced.

    Files in a folder that this program made are its own.
    """
    for path in paths:
        if path.suffix.lower() in OF_ANNOTATIONS and path.exists() and not is_ours(path.parent):
            raise UsageError(
                f"{path}: is there already, and may hold somebody's annotations",
                remedy="write into a new folder or file, or remove it",
            )


def to_srt(segments: Sequence[Segment]) -> str:
    """Return SubRip subtitles, which most players read from a file named after the video."""
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(_cues(segments, ","), 1))


def to_vtt(segments: Sequence[Segment]) -> str:
    """Return WebVTT subtitles, which browsers read through <track>."""
    return "\n".join(["WEBVTT\n", *_cues(segments, ".", partial(escape, quote=False))])


def write_timeline(found: Timeline, video: Path, path: Path) -> None:
    """Write a timeline of a video file, in the format of the path's ending.

    .srt and .vtt are subtitles; .eaf is ELAN's, .tsv BORIS's, .json Label Studio's.

    Raises:
        VideoError: the file, whose frame rate BORIS and Label Studio need, cannot be opened.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    segments = [(each.start, each.end, each.label, each.score) for each in found.segments]
    ending = path.suffix.lower()
    if ending in (".srt", ".vtt"):
        text = to_vtt(found.segments) if ending == ".vtt" else to_srt(found.segments)
    elif ending == ".eaf":
        text = to_elan(segments, video, found.class_names)
    elif ending == ".tsv":
        fps = probe(video).fps or 25.0
        text = to_boris(segments, video, duration=found.duration, fps=fps)
    else:
        text = to_label_studio(segments, video, fps=probe(video).fps or 25.0)
    write_text(path, text)


def to_csv(found: Iterable[Timeline | Prediction], *, top_k: int = 5, header: bool = True) -> str:
    """Return a table with a row for each segment, or for each of a `Prediction`'s best classes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for each in found:
        for start, end, rank, entry in _rows(each, top_k):
            scores = (f"{s:.4f}" for s in (entry.score, entry.appearance, entry.motion))
            times = f"{start:.3f}", f"{end:.3f}"
            source = inert_cell(printable(Path(each.source)))
            writer.writerow([source, *times, rank, inert_cell(entry.label), *scores])
    return text.getvalue()


def _rows(
    found: Timeline | Prediction, top_k: int
) -> Iterator[tuple[float, float, int, Segment | ClassScore]]:
    if isinstance(found, Timeline):
        for segment in found.segments:
            yield segment.start, segment.end, 1, segment
    else:
        for rank, entry in enumerate(found.predictions[:top_k], 1):
            yield found.start, found.start + found.duration, rank, entry


def _clock(seconds: float, point: str) -> str:
    """hh:mm:ss and milliseconds."""
    ms = round(seconds * 1000)
    minutes, ms = divmod(ms, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}{point}{ms % 1000:03d}"


def _cues(
    segments: Sequence[Segment], point: str, spelled: Callable[[str], str] = str
) -> Iterator[str]:
    """Yield what both kinds of subtitles say about each segment."""
    for each in segments:
        # On one line, and without the arrow that separates the times.
        label = " ".join(each.label.split()).replace("-->", "→")
        times = f"{_clock(each.start, point)} --> {_clock(each.end, point)}"
        yield f"{times}\n{spelled(label)} ({each.score:.0%})\n"
