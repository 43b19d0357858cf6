"""`stresnet serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Device, Model, Precision, Threads
from stresnet.web.job import Limits
from stresnet.web.server import HOST, PORT

DEFAULT = Limits()
LIMITS = "Limits"


def serve(
    model: Model,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = PORT,
    allow_name: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name that visitors use for this server; repeat it for several.",
            show_default=False,
        ),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(min=1, help="Longest clip, in seconds.", rich_help_panel=LIMITS)
    ] = DEFAULT.video_seconds,
    max_mb: Annotated[
        float, typer.Option(min=0.001, help="Largest clip, in MB.", rich_help_panel=LIMITS)
    ] = DEFAULT.upload_bytes / 1e6,
    max_work: Annotated[
        float,
        typer.Option(
            min=1, help="Longest time to work on a clip, in seconds.", rich_help_panel=LIMITS
        ),
    ] = DEFAULT.work_seconds,
    max_memory: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Most memory for a clip, in GB, in addition to the model's (on a CPU).",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.work_bytes / 1e9,
    keep: Annotated[
        float,
        typer.Option(min=0.1, help="Time to keep results, in minutes.", rich_help_panel=LIMITS),
    ] = DEFAULT.keep_seconds / 60,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Serve a web page that recognises clips: drop a file, or use the camera.

    Programs send clips to /api/jobs; /api describes how. Press Ctrl-C to stop;
    nothing stays on disk.
    """
    from stresnet.web import serve

    limits = Limits(
        upload_bytes=round(max_mb * 1e6),
        video_seconds=max_seconds,
        work_seconds=max_work,
        work_bytes=round(max_memory * 1e9),
        keep_seconds=keep * 60,
    )
    try:
        serve(
            model,
            host=host,
            port=port,
            names=allow_name or (),
            limits=limits,
            device=device,
            precision=precision,
            threads=threads,
            on_ready=lambda address: say(f"open {address}   (press Ctrl-C to stop)", always=True),
        )
    except KeyboardInterrupt as error:
        say("stopped")
        raise typer.Exit(130) from error
