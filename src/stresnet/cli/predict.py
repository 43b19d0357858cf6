"""`stresnet predict`: of videos, or in front of a camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stresnet.cli.answers import Answers, Form
from stresnet.cli.app import logger, say
from stresnet.cli.options import Device, Model, Precision, Ray, Threads, Workers
from stresnet.cli.progress import ItemProgress, progress
from stresnet.cli.watch import watch
from stresnet.errors import StresnetError, UsageError, VideoError, printable

if TYPE_CHECKING:
    from stresnet.prediction.result import Prediction, Timeline

of_timelines = partial(typer.Option, rich_help_panel="Timelines")
to_files = partial(
    typer.Option, rich_help_panel="Files (a file for one video, a folder for several)"
)


def predict(
    model: Model,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Video files, folders, patterns, CSV or .txt lists of them; or a camera, as 0.",
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
        of_timelines(
            "--timeline/--whole",
            help="Predict a timeline, or one label for the whole video.",
            show_default="a timeline for videos longer than 10 s",
        ),
    ] = None,
    window: Annotated[
        float | None,
        of_timelines(
            help="Seconds that the network sees at a time.", show_default="as fitted, else 2"
        ),
    ] = None,
    stride: Annotated[
        float | None,
        of_timelines(
            help="Seconds from one window's start to the next.", show_default="as fitted, else 0.5"
        ),
    ] = None,
    smooth: Annotated[
        float | None,
        of_timelines(
            help="Seconds over which scores are averaged.", show_default="as fitted, else 1"
        ),
    ] = None,
    min_duration: Annotated[
        float | None,
        of_timelines(
            help="Length of the shortest segment, in seconds.", show_default="as fitted, else 2"
        ),
    ] = None,
    background: Annotated[
        str | None,
        of_timelines(
            help="Class whose segments are not reported.", show_default="as trained, else none"
        ),
    ] = None,
    srt: Annotated[Path | None, to_files(help="Write subtitles for players.")] = None,
    vtt: Annotated[Path | None, to_files(help="Write subtitles for browsers.")] = None,
    elan: Annotated[Path | None, to_files(help="Write ELAN files (.eaf).")] = None,
    boris: Annotated[
        Path | None,
        to_files(help="Write aggregated events for BORIS (.tsv)."),
    ] = None,
    label_studio: Annotated[
        Path | None,
        to_files(help="Write tasks for Label Studio (.json)."),
    ] = None,
    annotated: Annotated[
        Path | None,
        to_files(
            "--annotate", help="Write the video with classes, scores and flow drawn into it (.mp4)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        to_files(help="Folder for a line of JSON on each of many videos; rerun to resume."),
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
    from stresnet.data.splits.inputs import find_inputs
    from stresnet.data.video.folders import require_others
    from stresnet.files import require_writable
    from stresnet.flow import FAST
    from stresnet.prediction.outputs import output_paths, require_no_annotations
    from stresnet.prediction.recognise import recognise_each
    from stresnet.prediction.result import Prediction, TimelineSettings

    # -- What was asked for
    if as_json + as_jsonl + as_csv > 1:
        raise UsageError("--json, --jsonl and --csv all print to stdout", remedy="choose one")
    form: Form = "json" if as_json else "jsonl" if as_jsonl else "csv" if as_csv else "table"
    outs = _given(
        {
            ".srt": srt,
            ".vtt": vtt,
            ".eaf": elan,
            ".tsv": boris,
            ".json": label_studio,
            ".mp4": annotated,
        }
    )
    settings: dict[str, Any] = _given(
        {
            "window": window,
            "stride": stride,
            "smooth": smooth,
            "min_duration": min_duration,
            "background": background,
        }
    )
    if (outs or settings) and timeline is False:
        raise UsageError("files and windows are those of timelines", remedy="leave --whole out")
    network = {"protocol": protocol, "device": device, "precision": precision}
    how: dict[str, Any] = {
        "timeline": True if outs else timeline,
        "settings": settings,
        "top_k": top_k,
        "flow": FAST if fast else None,
        **network,
    }

    # -- A camera
    found = [find_inputs(each, allow_network=allow_network) for each in inputs]
    videos = [video for each in found if not isinstance(each, str) for video in each]
    if cameras := [each for each in found if isinstance(each, str)]:
        of_files = (timeline, min_duration, background, out, workers, ray)
        if len(found) > 1 or outs or as_csv or any(each is not None for each in of_files):
            raise UsageError(
                "a camera comes alone, and gives lines or --json", remedy="record a file first"
            )
        watch(
            model,
            cameras[0],
            TimelineSettings(**settings),
            as_json=form != "table",
            threads=threads,
            **network,
        )
        return

    # -- Many videos, into a folder
    if out is not None:
        if outs or form != "table" or threads is not None:
            raise UsageError("--out is a form of its own", remedy="leave the others out")
        _into_folder(model, [path for path, _ in videos], out, workers=workers, ray=ray, how=how)
        return
    if ray is not None or workers is not None:
        raise UsageError("--ray and --workers write into a folder", remedy="name it with --out")

    # -- Videos one after the other
    names = [name for _, name in videos]
    paths = [output_paths(out, names, ending) for ending, out in outs.items()]
    require_others(chain.from_iterable(paths), [video for video, _ in videos])
    require_no_annotations(chain.from_iterable(paths))
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
    without = 0  # a timeline
    with closing(Answers(form, top_k)) as answers, closing(outcomes), closing(show):
        for (_, outcome), (video, _), *files in zip(outcomes, videos, *paths, strict=False):
            show.close()
            try:
                if isinstance(outcome, StresnetError):
                    raise outcome
                _write(outcome, video, files)
            except VideoError as error:
                answers.failed(error)
            else:
                answers.add(outcome)
                without += isinstance(outcome, Prediction)
    if settings and without:
        logger.warning(
            f"{without} of {len(videos)} videos are short and got no timeline, which "
            f"--{next(iter(settings)).replace('_', '-')} is for; --timeline gives them one"
        )
    if answers.failures:
        raise typer.Exit(1)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given."""
    return {name: value for name, value in options.items() if value is not None}


def _into_folder(
    model: str,
    videos: Sequence[Path],
    out: Path,
    *,
    workers: int | None,
    ray: str | None,
    how: dict[str, Any],
) -> None:
    """Recognise by worker processes, or on a cluster; what is there already is left as it is."""
    from stresnet.cli.prepare import say_report
    from stresnet.cluster import cluster
    from stresnet.prediction.many import RecogniseOne, recognise_many

    with cluster(ray, out) as engine, progress("predict") as on_progress:
        report = recognise_many(
            RecogniseOne(model, **how),
            videos,
            out,
            workers=workers,
            engine=engine,
            on_progress=on_progress,
        )
    say_report(report, "recognised", out)
    if report.failures:
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
        say(f"written: {printable(path)}")
