"""What `stresnet predict` does with videos and cameras, and how it shows what it finds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.cli.progress import progress
from stresnet.data.prepare.prefetched import Prepared
from stresnet.data.video.camera import camera_frames
from stresnet.data.video.container import printable
from stresnet.data.video.inputs import LiveInput, VideoInput
from stresnet.errors import VideoError
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.files import atomic_write
from stresnet.flow import FAST, TVL1Parameters
from stresnet.model import STResNet
from stresnet.prediction import (
    QUICK,
    LiveLabel,
    Prediction,
    Timeline,
    TimelineSettings,
    annotate,
    live,
    predict_stored,
    timeline,
    to_csv,
    to_srt,
    to_vtt,
)
from stresnet.prediction.output_paths import output_paths
from stresnet.prediction.timeline import OnProgress
from stresnet.progress import Progress

Found = Prediction | Timeline


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line.

    Attributes:
        in_time: whether a video gets a timeline.
        outputs: by ending, a file or a folder.
    """

    settings: TimelineSettings
    in_time: Callable[[Path], bool]
    outputs: Mapping[str, Path]
    top_k: int
    style: Literal["table", "json", "csv"]
    flow: TVL1Parameters
    fast: bool
    precision: str
    threads: int

    @property
    def protocol(self) -> Protocol:
        """Which chunks the network sees."""
        return QUICK if self.fast else PAPER

    @property
    def looked(self) -> dict[str, Any]:
        """How the network looks at videos: arguments of `predict`, `timeline` and `live`."""
        return {
            "flow": self.flow,
            "protocol": self.protocol,
            "precision": self.precision,
            "threads": self.threads,
        }


def predict_videos(
    net: STResNet, videos: Sequence[VideoInput], prepared: Iterator[Prepared], run: Run
) -> int:
    """Recognise, show and write; how many videos failed.

    Args:
        prepared: those of the videos that get no timeline, in order.
    """
    names = [video.name for video in videos]
    paths = {
        ending: dict(zip(videos, output_paths(out, names, ending), strict=True))
        for ending, out in run.outputs.items()
    }
    found: list[Found] = []
    failed = 0
    for video, each in _recognised(net, videos, prepared, run):
        try:
            if isinstance(each, VideoError):
                raise each
            if isinstance(each, Timeline):
                _write(each, video, {ending: path[video] for ending, path in paths.items()})
        except VideoError as error:
            say(f"failed: {error}")
            failed += 1
            continue
        found.append(each)
        for warning in each.warnings:
            say(f"warning: {printable(video.path)}: {warning}")
        if run.style == "table":
            Console().print(timeline_table(each) if isinstance(each, Timeline) else
                            prediction_table(each))  # fmt: skip
    if run.style == "json":
        typer.echo(json.dumps([_plain(each, run.top_k) for each in found], indent=1))
    if run.style == "csv":
        typer.echo(to_csv(found, top_k=run.top_k), nl=False)
    return failed


def predict_live(net: STResNet, source: LiveInput, run: Run) -> None:
    """Show what a camera sees, until Ctrl-C or its end."""
    say("Ctrl-C ends")
    settings, looked = run.settings, {**run.looked, "flow": FAST, "protocol": QUICK}
    labels = live(
        net,
        camera_frames(source.address),
        window=settings.window,
        stride=settings.stride,
        smooth=settings.smooth,
        **looked,
    )
    console = Console(highlight=False, soft_wrap=True)
    quiet = run.style == "json" or not console.is_terminal
    last: LiveLabel | None = None
    with closing(labels), nullcontext() if quiet else console.status("waiting") as status:
        try:
            for last in labels:
                if run.style == "json":
                    typer.echo(json.dumps(last.as_dict()))
                elif last.changed:
                    score = f"{last.predictions[0].score:.0%}"
                    console.print(escape(f"{clock(last.time)}  {last.label}  {score}"))
                if status is not None:
                    status.update(escape(live_line(last)))
        except KeyboardInterrupt:  # how a camera is left
            pass
    say(f"ended: {live_line(last)}" if last else "ended before a window was full")


def live_line(now: LiveLabel) -> str:
    """The state of a camera in one line."""
    return (
        f"{clock(now.time)}  {now.label} {now.predictions[0].score:.0%}  "
        f"{now.frames_per_second:.1f} frames/s, {now.dropped} dropped, {now.delay:.1f} s behind"
    )


def prediction_table(prediction: Prediction) -> Table:
    """Ranked classes; the score of both streams together and of each alone."""
    title = escape(printable(Path(prediction.source)))
    table = Table("class", "score", "appearance", "motion", title=title)
    for entry in prediction.predictions:
        scores = (f"{s:.3f}" for s in (entry.score, entry.appearance, entry.motion))
        table.add_row(escape(entry.label), *scores)
    return table


def timeline_table(found: Timeline) -> Table:
    """Segments in order; below, the best class of the whole video."""
    best = found.predictions[0]
    table = Table(
        "from",
        "to",
        "class",
        "score",
        "appearance",
        "motion",
        title=escape(printable(Path(found.source))),
        caption=escape(f"whole video: {best.label} {best.score:.3f}"),
    )
    for each in found.segments:
        scores = (f"{s:.3f}" for s in (each.score, each.appearance, each.motion))
        table.add_row(clock(each.start), clock(each.end), escape(each.label), *scores)
    return table


def clock(seconds: float) -> str:
    """h:mm:ss.s"""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _recognised(
    net: STResNet, videos: Sequence[VideoInput], prepared: Iterator[Prepared], run: Run
) -> Iterator[tuple[VideoInput, Found | VideoError]]:
    """In order; those without a timeline are prepared while the ones before are seen."""
    for video in videos:
        if run.in_time(video.path):
            yield video, _timeline(net, video, run)
            continue
        _, stored = next(prepared)
        if isinstance(stored, VideoError):
            yield video, stored
        else:
            yield (
                video,
                predict_stored(
                    net,
                    stored,
                    str(video.path),
                    top_k=run.top_k,
                    protocol=run.protocol,
                    precision=run.precision,
                ),
            )


def _timeline(net: STResNet, video: VideoInput, run: Run) -> Timeline | VideoError:
    try:
        with progress(f"{video.name}, seconds") as show:
            return timeline(
                net, video.path, run.settings, on_progress=_by_seconds(show), **run.looked
            )
    except VideoError as error:
        return error


def _by_seconds(show: Any) -> OnProgress:
    """Show every whole second of a known length."""
    shown = 0

    def on_progress(done: float, total: float) -> None:
        nonlocal shown
        for second in range(shown + 1, int(done) + 1 if total else 0):
            show(Progress(second, math.ceil(total)))
            shown = second

    return on_progress


def _write(found: Timeline, video: VideoInput, paths: Mapping[str, Path]) -> None:
    for ending, path in paths.items():
        if ending == ".mp4":
            with progress(f"{path.name}, seconds") as show:
                annotate(found, video.path, path, on_progress=_by_seconds(show))
        else:
            text = to_srt(found.segments) if ending == ".srt" else to_vtt(found.segments)
            with atomic_write(path) as partial:
                partial.write_text(text, encoding="utf-8")
        say(f"written: {printable(path)}")


def _plain(found: Found, top_k: int) -> dict[str, Any]:
    return found.as_dict(top_k=top_k) if isinstance(found, Timeline) else found.as_dict()
