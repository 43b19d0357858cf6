"""`stresnet predict`, and `demo`, which predicts the clips that ship."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import logger, say
from stresnet.cli.options import Device, Model, Precision, Ray, Threads, Workers
from stresnet.cli.progress import ItemProgress, progress
from stresnet.errors import StresnetError, UsageError, VideoError

if TYPE_CHECKING:
    from stresnet.prediction.live_labels import LiveLabel
    from stresnet.prediction.result import ClassScore, Prediction, Timeline, TimelineSettings
    from stresnet.prediction.segments import Segment

TIMELINES, FILES = "Timelines", "Files (a file for one video, a folder for several)"


def predict(
    model: Model,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Video files, folders, patterns or .txt lists of them; or a camera, as 0.",
        ),
    ],
    top_k: Annotated[
        int, typer.Option(min=1, help="Number of classes to show for a whole video.")
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array to stdout at the end.")
    ] = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a line of JSON to stdout as each video finishes.")
    ] = False,
    as_csv: Annotated[
        bool,
        typer.Option("--csv", help="Print a CSV table to stdout, a row as each video finishes."),
    ] = False,
    timeline: Annotated[
        bool | None,
        typer.Option(
            "--timeline/--whole",
            help="Predict a timeline, or one label for the whole video.",
            show_default="a timeline for videos longer than 10 s",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            help="Seconds that the network sees at a time.",
            show_default="as fitted, else 2",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    stride: Annotated[
        float | None,
        typer.Option(
            help="Seconds from one window's start to the next.",
            show_default="as fitted, else 0.5",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(
            help="Seconds over which scores are averaged.",
            show_default="as fitted, else 1",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    min_duration: Annotated[
        float | None,
        typer.Option(
            help="Length of the shortest segment, in seconds.",
            show_default="as fitted, else 2",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Class whose segments are not reported.",
            show_default="as trained, else none",
            rich_help_panel=TIMELINES,
        ),
    ] = None,
    srt: Annotated[
        Path | None, typer.Option(help="Write subtitles for players.", rich_help_panel=FILES)
    ] = None,
    vtt: Annotated[
        Path | None, typer.Option(help="Write subtitles for browsers.", rich_help_panel=FILES)
    ] = None,
    elan: Annotated[
        Path | None, typer.Option(help="Write ELAN files (.eaf).", rich_help_panel=FILES)
    ] = None,
    boris: Annotated[
        Path | None,
        typer.Option(help="Write aggregated events for BORIS (.tsv).", rich_help_panel=FILES),
    ] = None,
    label_studio: Annotated[
        Path | None,
        typer.Option(help="Write tasks for Label Studio (.json).", rich_help_panel=FILES),
    ] = None,
    annotated: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            help="Write the video with classes, scores and flow drawn into it (.mp4).",
            rich_help_panel=FILES,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a line of JSON on each of many videos; rerun to resume.",
            rich_help_panel=FILES,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="What the network sees of a video or a window: quick (8 chunks), paper (25, and "
            "their mirror images), or another protocol of `evaluate`."
        ),
    ] = "quick",
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Compute coarser flow than the model learned from, in less time (always for "
            "cameras).",
        ),
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    workers: Workers = None,
    ray: Ray = None,
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Allow rtsp:// addresses as INPUT.")
    ] = False,
) -> None:
    """Recognise the actions in videos, or in front of a camera.

    Short videos get a ranked list of classes; long ones a timeline of labelled segments.
    """
    from stresnet.data.video.inputs import find_inputs, require_others
    from stresnet.files import require_writable
    from stresnet.flow import FAST
    from stresnet.prediction.outputs import output_paths, to_csv
    from stresnet.prediction.recognise import recognise_each
    from stresnet.prediction.result import TimelineSettings

    if as_json + as_jsonl + as_csv > 1:
        raise UsageError("--json, --jsonl and --csv all print to stdout", remedy="choose one")
    given = {
        ".srt": srt,
        ".vtt": vtt,
        ".eaf": elan,
        ".tsv": boris,
        ".json": label_studio,
        ".mp4": annotated,
    }
    outs = {ending: out for ending, out in given.items() if out is not None}
    found = [find_inputs(each, allow_network=allow_network) for each in inputs]
    videos = [video for each in found if not isinstance(each, str) for video in each]
    cameras = [each for each in found if isinstance(each, str)]
    asked = {
        "window": window,
        "stride": stride,
        "smooth": smooth,
        "min_duration": min_duration,
        "background": background,
    }
    settings: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if (outs or settings) and timeline is False:
        raise UsageError("files and windows are those of timelines", remedy="leave --whole out")
    how: dict[str, Any] = {
        "timeline": True if outs else timeline,
        "settings": settings,
        "top_k": top_k,
        "flow": FAST if fast else None,
        "protocol": protocol,
        "device": device,
        "precision": precision,
    }
    if cameras:
        of_files = (timeline, min_duration, background, out, workers, ray)
        if len(found) > 1 or outs or as_csv or any(each is not None for each in of_files):
            raise UsageError(
                "a camera comes alone, and gives lines or --json", remedy="record a file first"
            )
        network = {
            "protocol": protocol,
            "device": device,
            "precision": precision,
            "threads": threads,
        }
        _watch(model, cameras[0], TimelineSettings(**settings), as_json or as_jsonl, network)
        raise typer.Exit
    if out is not None:
        from stresnet.cli.prepare import say_report
        from stresnet.cluster import engine_at
        from stresnet.prediction.many import RecogniseOne, recognise_many

        if outs or as_json or as_jsonl or as_csv or threads is not None:
            raise UsageError("--out is a form of its own", remedy="leave the others out")
        with engine_at(ray, out) as engine, progress("predict") as on_progress:
            report = recognise_many(
                RecogniseOne(model, **how),
                [path for path, _ in videos],
                out,
                workers=workers,
                engine=engine,
                on_progress=on_progress,
            )
        say_report(report, "recognised", out)
        raise typer.Exit(1 if report.failures else 0)
    if ray is not None or workers is not None:
        raise UsageError("--ray and --workers write into a folder", remedy="name it with --out")
    names = [name for _, name in videos]
    paths = [output_paths(out, names, ending) for ending, out in outs.items()]
    require_others(chain.from_iterable(paths), [video for video, _ in videos])
    for out, of_out in zip(outs.values(), paths, strict=True):
        is_file = of_out == [out]
        require_writable(out.parent if is_file else out, mark=not is_file)
    show = ItemProgress("seconds")
    outcomes = recognise_each(
        model,
        [path for path, _ in videos],
        threads=threads,
        on_progress=show,
        **how,
    )
    answers: list[Prediction | Timeline] = []
    failed = 0
    try:
        for (_, outcome), (video, _), *files in zip(outcomes, videos, *paths, strict=False):
            show.finish()
            try:
                if isinstance(outcome, StresnetError):
                    raise outcome
                _write(outcome, video, files)
            except VideoError as error:
                say(f"failed: {error}")
                failed += 1
                continue
            answers.append(outcome)
            for warning in outcome.warnings:
                logger.warning(f"{_shown(outcome.source)}: {warning}")
            if as_jsonl:
                typer.echo(json.dumps(outcome.as_dict(top_k=top_k)))
            elif as_csv:
                typer.echo(to_csv([outcome], top_k=top_k, header=len(answers) == 1), nl=False)
            elif not as_json:
                Console().print(table(outcome))
    finally:
        show.finish()
        outcomes.close()
        if as_json and (answers or failed):  # also when something ends the command early
            typer.echo(json.dumps([each.as_dict(top_k=top_k) for each in answers], indent=1))
    if failed:
        raise typer.Exit(1)


def _write(found: Prediction | Timeline, video: Path, paths: Sequence[Path]) -> None:
    """Write the files that were asked for, as their endings say."""
    from stresnet.prediction.annotated_video import annotate
    from stresnet.prediction.outputs import write_timeline
    from stresnet.prediction.result import Timeline

    for path in paths:
        assert isinstance(found, Timeline)
        if path.suffix.lower() == ".mp4":
            with progress(f"{path.name}, seconds") as on_progress:
                annotate(found, video, path, on_progress=on_progress)
        else:
            write_timeline(found, video, path)
        say(f"written: {_shown(path)}")


def _watch(
    model: str, address: str, settings: TimelineSettings, as_json: bool, network: dict[str, Any]
) -> None:
    """Show what a camera sees, until Ctrl-C or its end."""
    from stresnet.data.prepare.preparation import short_side
    from stresnet.data.video.camera import camera_frames
    from stresnet.model import load_model
    from stresnet.prediction.live_labels import live

    net = load_model(model, device=network["device"])
    say("press Ctrl-C to stop")
    labels = live(
        net,
        camera_frames(address, short_side=short_side(net.preparation)),
        window=settings.window,
        stride=settings.stride,
        smooth=settings.smooth,
        **network,
    )
    console = Console(highlight=False, soft_wrap=True)
    quiet = as_json or not console.is_terminal
    last: LiveLabel | None = None
    with closing(labels), nullcontext() if quiet else console.status("waiting") as status:
        try:
            for last in labels:
                if as_json:
                    typer.echo(json.dumps(last.as_dict()))
                elif last.changed:
                    console.print(escape(f"{clock(last.time)}  {last.label}  {last.score:.0%}"))
                if status is not None:
                    status.update(escape(live_line(last)))
        except KeyboardInterrupt:  # how a camera is left
            pass
    say(f"ended: {live_line(last)}" if last else "ended before a window was full")


def live_line(now: LiveLabel) -> str:
    """Describe the state of a camera in one line."""
    return (
        f"{clock(now.time)}  {now.label} {now.score:.0%}  {now.frames_per_second:.1f} frames/s, "
        f"{now.dropped} dropped, {now.delay:.1f} s behind"
    )


def table(found: Prediction | Timeline) -> Table:
    """Show ranked classes or segments in order, with the scores of both streams and of each."""
    from stresnet.prediction.result import Timeline

    ran = f"{found.device}, {found.precision}"
    rows: Sequence[tuple[tuple[str, ...], ClassScore | Segment]]
    if isinstance(found, Timeline):
        columns = ["from", "to", "class"]
        caption = f"whole video: {found.label} {found.score:.3f}   ({ran})"
        rows = [((clock(s.start), clock(s.end), escape(s.label)), s) for s in found.segments]
    else:
        columns, caption = ["class"], f"({ran})"
        rows = [((escape(entry.label),), entry) for entry in found.predictions]
    shown = Table(
        *columns,
        "score",
        "appearance",
        "motion",
        title=escape(_shown(found.source)),
        caption=escape(caption),
    )
    for cells, entry in rows:
        scores = (f"{s:.3f}" for s in (entry.score, entry.appearance, entry.motion))
        shown.add_row(*cells, *scores)
    return shown


def clock(seconds: float) -> str:
    """Format seconds as h:mm:ss.s."""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _shown(path: str | Path) -> str:
    from stresnet.data.video.container import printable

    return printable(Path(path))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the page.")] = Path("demo"),
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Recognise the real clips that ship with stresnet, and write a page to look at."""
    from stresnet.demonstration import demo

    table = Table("clip", "true", "appearance", "motion", "both", "recognised")
    with progress("demo") as on_progress:
        clips = demo(
            out, device=device, precision=precision, threads=threads, on_progress=on_progress
        )
    for clip in clips:
        of_truth = (clip.of_truth.appearance, clip.of_truth.motion, clip.of_truth.score)
        mark = "[green]yes[/]" if clip.correct else f"[red]no: {clip.prediction.label}[/]"
        table.add_row(clip.name, clip.truth, *(f"{score:.2f}" for score in of_truth), mark)
    table.caption = "appearance, motion, both: the score of the true class"
    Console().print(table)
    correct = sum(clip.correct for clip in clips)
    Console().print(f"{correct} of {len(clips)} recognised; look at {out / 'index.html'}")
