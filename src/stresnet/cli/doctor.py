"""`stresnet doctor`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from stresnet.cli.options import Workers
from stresnet.cli.progress import progress

if TYPE_CHECKING:
    from stresnet.diagnosis import Finding, VideoCondition, VideoReport

COLOURS = {
    "fine": "green",
    "limited": "yellow",
    "odd": "yellow",
    "broken": "red",
    "unusable": "red",
}


def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="VIDEOS",
            help="Also examine this video, or the videos in this folder.",
            show_default=False,
        ),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Decode every frame instead of the first ones.")
    ] = False,
    workers: Workers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object to stdout.")
    ] = False,
) -> None:
    """Check that stresnet works on this machine, and which videos cannot be used and why.

    Exit code 1 if a video cannot be used, 3 if stresnet itself does not work here.
    """
    from stresnet.diagnosis import State, examine_environment, examine_videos

    findings, report = examine_environment(), None
    if not as_json:
        say_findings(findings)
    if folder is not None:
        with progress("doctor") as on_progress:
            report = examine_videos(
                folder, thorough=thorough, workers=workers, on_progress=on_progress
            )
    if as_json:
        environment = [asdict(finding) for finding in findings]
        videos = asdict(report) if report else None
        typer.echo(json.dumps({"environment": environment, "videos": videos}, indent=1))
    elif report:
        say_videos(report)
    if any(finding.state is State.BROKEN for finding in findings):
        raise typer.Exit(3)
    raise typer.Exit(1 if report and report.unusable else 0)


def say_findings(findings: Sequence[Finding]) -> None:
    """Print one line for each, and one for its remedy."""
    for finding in findings:
        _say(finding.state, f"{finding.topic}: {finding.says}", finding.remedy)


def say_videos(report: VideoReport) -> None:
    """Print what cannot be used, what is odd, and a summary."""
    for video in report.unusable:
        _say("unusable", f"{video.name}: {video.unusable}", video.remedy)
    for video in report.odd:
        _say("odd", f"{video.name}: {'; '.join(video.odd)}")
    usable = [video for video in report.videos if not video.unusable]
    _say(
        "videos",
        f"{len(report.videos)}: {len(usable) - len(report.odd)} fine, {len(report.odd)} odd, "
        f"{len(report.unusable)} unusable",
    )
    if usable:
        _say("", in_numbers(usable))
    if report.passed_over:
        others = ", ".join(f"{count} {ending}" for ending, count in report.passed_over.items())
        _say("", f"not videos, so not looked at: {others}")


def in_numbers(videos: Sequence[VideoCondition]) -> str:
    """Summarise codecs, sizes, rates and length of usable videos."""
    codecs = Counter(video.codec for video in videos)
    by_size = sorted(videos, key=lambda video: video.width * video.height)
    small, large = (f"{video.width}x{video.height}" for video in (by_size[0], by_size[-1]))
    rates = [video.fps for video in videos]
    return (
        f"{', '.join(f'{count} {codec}' for codec, count in codecs.most_common())}; "
        f"{small} to {large} pixels; {min(rates):.3g} to {max(rates):.3g} frames/s; "
        f"{sum(video.seconds for video in videos) / 60:.1f} minutes"
    )


def _say(mark: str, line: str, remedy: str = "") -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[{COLOURS.get(mark, 'bold')}]{mark:9}[/]{escape(line)}")
    if remedy:
        console.print(f"{'':9}fix: {escape(remedy)}")
