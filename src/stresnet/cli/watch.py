"""`stresnet predict` in front of a camera: what it sees now, until Ctrl-C."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from stresnet.cli.answers import clock
from stresnet.cli.app import say

if TYPE_CHECKING:
    from stresnet.prediction.live_labels import LiveLabel
    from stresnet.prediction.result import TimelineSettings


def watch(
    model: str,
    address: str,
    settings: TimelineSettings,
    *,
    as_json: bool,
    device: str,
    **network: Any,
) -> None:
    """Show what a camera sees, until Ctrl-C or its end.

    Args:
        as_json: a line of JSON for each window, instead of one for each change.
        network: as in `live`.
    """
    from stresnet.data.prepare.preparation import short_side
    from stresnet.data.video.camera import camera_frames
    from stresnet.model import load_model
    from stresnet.prediction.live_labels import live

    net = load_model(model, device=device)
    say("press Ctrl-C to stop")
    labels = live(
        net,
        camera_frames(address, short_side=short_side(net.preparation)),
        window=settings.window,
        stride=settings.stride,
        smooth=settings.smooth,
        device=device,
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
