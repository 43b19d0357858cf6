"""`stresnet predict`."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Annotated

import typer

from stresnet.cli.app import importing, say
from stresnet.cli.options import Device, Model, Precision, Threads
from stresnet.errors import UsageError, VideoError

LONG = 10.0  # seconds; longer videos get a timeline unless told otherwise
IN_TIME, FILES = "Timeline", "Files (a file for one video, a folder for several)"


def predict(
    model: Model,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Video files, folders, patterns, .txt lists of them; or a camera: 0.",
        ),
    ],
    top_k: Annotated[int, typer.Option(min=1, help="Classes of a whole video to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV table on stdout.")] = False,
    timeline: Annotated[
        bool | None,
        typer.Option(
            "--timeline/--whole",
            help=f"What happens when, or one answer. [default: by length, {LONG:g} s]",
            show_default=False,
            rich_help_panel=IN_TIME,
        ),
    ] = None,
    window: Annotated[
        float, typer.Option(help="Seconds the network sees at a time.", rich_help_panel=IN_TIME)
    ] = 2.0,
    stride: Annotated[
        float, typer.Option(help="Seconds between two windows.", rich_help_panel=IN_TIME)
    ] = 0.5,
    smooth: Annotated[
        float, typer.Option(help="Seconds that scores are averaged over.", rich_help_panel=IN_TIME)
    ] = 1.0,
    min_duration: Annotated[
        float, typer.Option(help="Seconds that a segment lasts at least.", rich_help_panel=IN_TIME)
    ] = 2.0,
    background: Annotated[
        str | None,
        typer.Option(help="Class whose segments are not reported.", rich_help_panel=IN_TIME),
    ] = None,
    srt: Annotated[
        Path | None, typer.Option(help="Subtitles for players.", rich_help_panel=FILES)
    ] = None,
    vtt: Annotated[
        Path | None, typer.Option(help="Subtitles for browsers.", rich_help_panel=FILES)
    ] = None,
    annotated: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            help="The video with classes, scores and flow drawn in: mp4.",
            rich_help_panel=FILES,
        ),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Quicker flow and 8 chunks of 25; always of a camera.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 2,
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Let rtsp:// sources be opened.")
    ] = False,
) -> None:
    """Recognise what happens in videos, or in front of a camera.

    Short videos get ranked classes, long ones segments: from when to when, which class.
    """
    from stresnet.data.prepare.prefetched import prepared_ahead
    from stresnet.data.video.inputs import LiveInput, find_inputs
    from stresnet.flow import AUTHORS, FAST

    if as_json and as_csv:
        raise UsageError("--json and --csv both print to stdout", remedy="choose one")
    outputs = {".srt": srt, ".vtt": vtt, ".mp4": annotated}
    wanted = {ending: out for ending, out in outputs.items() if out is not None}
    if wanted and timeline is False:
        raise UsageError("files are made of timelines", remedy="leave --whole out")
    found = [find_inputs(source, allow_network=allow_network) for source in sources]
    cameras = [each for each in found if isinstance(each, LiveInput)]
    videos = [video for each in found if isinstance(each, tuple) for video in each]
    asked = wanted or as_csv or timeline is not None or background is not None
    if cameras and (len(found) > 1 or asked):
        raise UsageError(
            "a camera comes alone, and gives lines or --json", remedy="record a file first"
        )
    in_time = cache(partial(_gets_timeline, asked=True if wanted else timeline))
    whole = (video.path for video in videos if not in_time(video.path))
    flow = FAST if fast else AUTHORS
    try:
        with prepared_ahead(whole, flow=flow, threads=threads, isolated=True) as prepared:
            # Torch, a second of imports, comes while the first video is being prepared.
            with importing():
                from stresnet.cli.predicting import Run, predict_live, predict_videos
                from stresnet.model import load_model
                from stresnet.prediction import TimelineSettings

            run = Run(
                settings=TimelineSettings(window, stride, smooth, min_duration, background),
                in_time=in_time,
                outputs=wanted,
                top_k=top_k,
                style="json" if as_json else "csv" if as_csv else "table",
                flow=flow,
                fast=fast,
                precision=precision,
                threads=threads,
            )
            if cameras:
                predict_live(load_model(model, device=device), cameras[0], run)
            elif predict_videos(load_model(model, device=device), videos, prepared, run):
                raise typer.Exit(1)
    except KeyboardInterrupt as error:
        say("stopped")
        raise typer.Exit(130) from error


def _gets_timeline(video: Path, *, asked: bool | None) -> bool:
    """As asked, or (None) by the video's length."""
    from stresnet.data.video.probe import probe

    if asked is not None:
        return asked
    try:
        return probe(video).seconds > LONG
    except VideoError:  # told when it is read
        return False
