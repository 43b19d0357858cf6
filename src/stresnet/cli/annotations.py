"""`stresnet annotations`. (Without the future import of that name, which would be the verb.)"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stresnet.cli.app import say
from stresnet.cli.options import Overlap


def annotations(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Files of ELAN (.eaf), BORIS (exported events, .tsv or .csv), VIA (.csv or "
            ".json), CVAT (.xml or .zip), Label Studio (.json), ActivityNet (.json) or THUMOS "
            "(.txt).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The CSV list to write.")] = Path("list.csv"),
    videos: Annotated[
        Path | None,
        typer.Option(
            help="Folder to look for the videos in, at any depth.",
            show_default="that of the annotations",
        ),
    ] = None,
    tiers: Annotated[
        list[str] | None,
        typer.Option(
            "--tier",
            help="ELAN's tier, or VIA's attribute, that holds the labels; repeat it for several.",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames per second, where times are given as frame numbers."),
    ] = None,
    points: Annotated[
        float | None,
        typer.Option(
            help="Length to give to point events, in seconds.",
            show_default="point events are left out",
        ),
    ] = None,
    overlap: Overlap = None,
) -> None:
    """Turn what people marked in long recordings into a CSV list for `train` and `evaluate`."""
    from stresnet.data.annotations.segments import read_segments, write_list

    segments = read_segments(
        files, videos=videos, tiers=tiers or (), fps=fps, points=points, overlap=overlap or "error"
    )
    write_list(segments, out)
    lengths: dict[str, list[float]] = defaultdict(list)
    for each in segments:
        lengths[each.label].append(each.end - each.start)
    shown = Table("label", "segments", "shortest, s", "longest, s", "in all, s")
    for label, seconds in sorted(lengths.items()):
        columns = (f"{value:.1f}" for value in (min(seconds), max(seconds), sum(seconds)))
        shown.add_row(escape(label), str(len(seconds)), *columns)
    Console().print(shown)
    recordings = len({each.video for each in segments})
    say(f"{out}: {len(segments)} segments of {recordings} videos")
    say(f"train with: stresnet train {out} --background NAME")
