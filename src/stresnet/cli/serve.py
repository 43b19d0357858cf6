"""`stresnet serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from stresnet.cli.app import say
from stresnet.cli.options import Model, Threads
from stresnet.web.limits import Limits
from stresnet.web.server import HOST, PORT

DEFAULT = Limits()
LIMITS = "Limits"


def serve(
    model: Model,
    host: Annotated[
        str, typer.Option(help="Address to bind to; 0.0.0.0 lets other machines in.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = PORT,
    allow_name: Annotated[
        list[str] | None,
        typer.Option(
            help="A host name that visitors call this server by; repeat it for several.",
            show_default=False,
        ),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(min=1, help="Length of a clip, seconds.", rich_help_panel=LIMITS)
    ] = DEFAULT.video_seconds,
    max_mb: Annotated[
        float, typer.Option(min=0.001, help="Size of a clip, MB.", rich_help_panel=LIMITS)
    ] = DEFAULT.upload_bytes / 1e6,
    max_work: Annotated[
        float, typer.Option(min=1, help="Seconds of work on a clip.", rich_help_panel=LIMITS)
    ] = DEFAULT.work_seconds,
    keep: Annotated[
        float,
        typer.Option(min=0.1, help="Minutes that results are kept.", rich_help_panel=LIMITS),
    ] = DEFAULT.keep_seconds / 60,
    fast: Annotated[bool, typer.Option("--fast", help="Quicker flow and 8 chunks of 25.")] = False,
    threads: Threads = 2,
) -> None:
    """Open a web page that tells what happens in a clip: drop a file, or use the camera.

    Programs send clips to /api/jobs; /api describes it. Ctrl-C ends, and nothing stays on disk.
    """
    from stresnet.web import serve as serve_until_ended

    limits = Limits(
        upload_bytes=round(max_mb * 1e6),
        video_seconds=max_seconds,
        work_seconds=max_work,
        keep_seconds=keep * 60,
    )
    try:
        serve_until_ended(
            model,
            host=host,
            port=port,
            names=allow_name or (),
            limits=limits,
            threads=threads,
            fast=fast,
            on_ready=lambda address: say(f"open {address}   (Ctrl-C ends)"),
        )
    except KeyboardInterrupt as error:
        say("stopped")
        raise typer.Exit(130) from error
