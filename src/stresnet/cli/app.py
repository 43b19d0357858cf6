"""The program that all verbs belong to: how they are registered, report and fail."""

from __future__ import annotations

import errno
import functools
import gc
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from stresnet.cli.process import (
    NO_READER,
    UNWRITABLE,
    Stop,
    flush_stdout,
    has_no_reader,
    prepare_streams,
)
from stresnet.errors import EnvironmentProblem, StresnetError, UsageError, printable
from stresnet.memory import keep_memory

app = typer.Typer(
    name="stresnet",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
notes = Console(stderr=True, highlight=False, soft_wrap=True)
logger = logging.getLogger("stresnet")

SHOWN = 20  # failures, and warnings
UNREADABLE = (errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
UNFORESEEN = 70  # the exit code for a mistake of ours: EX_SOFTWARE of sysexits.h
REPORTED = (EnvironmentProblem.exit_code, NO_READER)  # of a verb that could not write to stdout
OTHER_OUTPUT = "Fix: free some space, or write elsewhere; then run the same command again"


def main() -> None:
    """Entry point of the `stresnet` command."""
    stop = Stop()
    stop.install()
    prepare_streams()
    keep_memory()
    gc.set_threshold(100_000)  # torch's import makes many objects and no garbage: 0.2 s
    code: Any = 0
    try:
        app()
    except SystemExit as end:
        # Click answers what comes before or after a verb with "Aborted!" and 1, and C++ that a
        # signal meets in it with an error of its own.
        code = end.code if stop.number is None else stop.exit_code
        if isinstance(end.__context__, BrokenPipeError):  # as click and rich end, with 1
            code = NO_READER
    except KeyboardInterrupt:  # before click takes care of it
        code = stop.exit_code
    except OSError as error:  # of --help and --version, which are not verbs
        code = _report_unforeseen(error)
    # What a verb or rich could not write is still there, and would be reported once more.
    if (unwritten := flush_stdout()) is not None and code not in REPORTED:
        code = _report_unforeseen(unwritten)
    stop.end(code)
    gc.freeze()  # what is alive dies with the process: looking through torch takes 0.2 s
    sys.exit(code)


class PlainLines(logging.Handler):
    """Shows the library's messages on stderr, one plain line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; warnings and errors are marked as such."""
        mark = {"WARNING": "[yellow]warning:[/] ", "ERROR": "[bold red]error:[/] "}
        notes.print(mark.get(record.levelname, "") + escape(record.getMessage()))


def _show_version(given: bool) -> None:
    if given:
        from stresnet import __version__

        typer.echo(f"stresnet {__version__}")
        raise typer.Exit


Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Report more; show the traceback of an unforeseen error."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Report warnings and errors only.")]
Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
]


@app.callback()
def stresnet(
    context: typer.Context, version: Version = False, verbose: Verbose = False, quiet: Quiet = False
) -> None:
    """Recognise human actions in video with Spatiotemporal Residual Networks (ST-ResNet)."""
    handler, level = PlainLines(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    context.call_on_close(lambda: logger.setLevel(level))
    context.call_on_close(lambda: logger.removeHandler(handler))
    _set_level(verbose=verbose, quiet=quiet)


def _set_level(*, verbose: bool, quiet: bool) -> None:
    if verbose or quiet:
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


def register(*verbs: Callable[..., None]) -> None:
    """Make functions verbs of the program; `--help` lists them in this order."""
    for verb in verbs:
        # `import` is a keyword of Python, so its function is called import_.
        app.command(verb.__name__.removesuffix("_"))(_guarded(verb))


def register_group(name: str, help: str, *verbs: Callable[..., None]) -> None:
    """Make functions verbs of a group: `stresnet NAME VERB`."""
    group = typer.Typer(name=name, help=help, no_args_is_help=True)
    for verb in verbs:
        group.command(verb.__name__)(_guarded(verb))
    app.add_typer(group)


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """Add -v and -q to a verb, and turn errors into one clear line and an exit code."""

    @functools.wraps(verb)
    def guarded(*args: Any, verbose: bool, quiet: bool, **kwargs: Any) -> None:
        _set_level(verbose=verbose, quiet=quiet)
        try:
            _require_directory()
            verb(*args, **kwargs)
        except StresnetError as error:
            logger.error(str(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            notes.print("stopped; the same command resumes, or begins again where nothing is kept")
            raise typer.Exit(getattr(error, "exit_code", 130)) from error
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            raise typer.Exit(_report_unforeseen(error)) from error

    asked = inspect.signature(verb, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in {"verbose": Verbose, "quiet": Quiet}.items()
    ]
    parameters = [*asked.parameters.values(), *added]
    guarded.__signature__ = asked.replace(parameters=parameters)  # type: ignore[attr-defined]
    guarded.__annotations__ = {each.name: each.annotation for each in parameters}
    return guarded


def _require_directory() -> None:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise EnvironmentProblem(
            "the current directory does not exist any more", remedy="cd into another one"
        ) from error


def _report_unforeseen(error: Exception) -> int:
    """Report an unforeseen error in one sentence; return the exit code."""
    if isinstance(error, BrokenPipeError) and has_no_reader():
        return NO_READER  # silently, as all programs do: `| head` has seen enough
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        logger.error(f"output cannot be written: {UNWRITABLE[error.errno]}. {OTHER_OUTPUT}")
        return EnvironmentProblem.exit_code
    if isinstance(error, OSError) and error.filename and error.errno in UNREADABLE:
        place = printable(os.fsdecode(error.filename))
        logger.error(
            f"{place}: cannot be opened ({error.strerror}). Fix: check the path and the permissions"
        )
        return UsageError.exit_code
    if isinstance(error, MemoryError):
        logger.error("not enough memory. Fix: free some, or use fewer --workers")
        return EnvironmentProblem.exit_code
    logger.debug("".join(traceback.format_exception(error)).rstrip())
    reason = " ".join(str(error).split())[:200]
    hint = "" if logger.isEnabledFor(logging.DEBUG) else "; run it again with -v to see where"
    logger.error(
        f"unforeseen {type(error).__name__}: {reason}. This is a bug in stresnet: please report it "
        f"with this command and the output of `stresnet doctor`{hint}"
    )
    return UNFORESEEN


def say(line: str, *, always: bool = False) -> None:
    """Print one plain line for a person on stderr; under --quiet, only if `always`."""
    if always or logger.isEnabledFor(logging.INFO):
        notes.print(escape(line))


def say_each(kind: str, named: Sequence[tuple[str, str]], rest: str) -> None:
    """Name what failed, or what is odd, and why.

    Args:
        kind: what comes before each name, such as "failed".
        rest: where to look for the others if there are many.
    """
    for name, reason in named[:SHOWN]:
        say(f"{kind}: {name}: {reason}", always=True)
    if len(named) > SHOWN:
        say(f"and {len(named) - SHOWN} more; {rest}", always=True)
