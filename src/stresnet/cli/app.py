"""The program that all verbs belong to: how they are registered, fail and speak."""

from __future__ import annotations

import functools
import gc
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ParamSpec

import typer
from rich.console import Console
from rich.markup import escape

from stresnet.errors import StresnetError

app = typer.Typer(
    name="stresnet",
    help="Recognise human actions in video with Spatiotemporal Residual Networks (ST-ResNet).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)

FAILURES_SHOWN = 20

P = ParamSpec("P")


def main() -> None:
    """Entry point of the `stresnet` command."""
    # By an exception, so that files are removed and processes ended; training answers in its way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    finally:
        gc.freeze()  # what is alive dies with the process: looking through torch takes 0.2 s


@contextmanager
def importing() -> Iterator[None]:
    """For torch, of which nothing is garbage: to look through it as it grows takes 0.2 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def register(*verbs: Callable[..., None]) -> None:
    """Make functions verbs of the program; `--help` lists them in this order."""
    for verb in verbs:
        # `import` is a word of Python's own, so its function is called import_.
        app.command(verb.__name__.removesuffix("_"))(_guarded(verb))


def register_group(name: str, help: str, *verbs: Callable[..., None]) -> None:
    """Make functions verbs of a group: `stresnet NAME VERB`."""
    group = typer.Typer(name=name, help=help, no_args_is_help=True)
    for verb in verbs:
        group.command(verb.__name__)(_guarded(verb))
    app.add_typer(group)


def _guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """Known errors become one clear line and their exit code."""

    @functools.wraps(verb)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except StresnetError as error:
            notes.print(f"[bold red]error:[/] {escape(str(error))}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            notes.print("stopped; the same command goes on from here")
            raise typer.Exit(getattr(error, "exit_code", 130)) from error

    return guarded


def say(line: str) -> None:
    """One plain line for a person, on stderr."""
    notes.print(escape(line))


def say_failures(failures: Sequence[tuple[str, str]], where: str) -> None:
    """Name what failed and why; the first ones, if there are many."""
    for name, reason in failures[:FAILURES_SHOWN]:
        say(f"failed: {name}: {reason}")
    if len(failures) > FAILURES_SHOWN:
        say(f"and {len(failures) - FAILURES_SHOWN} more; all are in {where}")
