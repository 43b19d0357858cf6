"""What all verbs share: messages, -v and -q, errors, the version."""

from __future__ import annotations

import inspect
import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import stresnet
from stresnet.cli import app
from stresnet.cli.app import register
from stresnet.cli.process import prepare_streams
from stresnet.errors import VideoError

library = logging.getLogger("stresnet.some.module")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Run one verb, which does what is given."""

    def run(work, *arguments: str) -> Result:
        def trial(count: int = 1) -> None:
            work()

        monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
        register(trial)
        return CliRunner().invoke(app, ["trial", *arguments])

    return run


def speaks() -> None:
    library.debug("in detail")
    library.info("plain [line]")
    library.warning("something odd")


def test_messages_of_the_library_are_plain_lines_on_stderr(run) -> None:
    told = run(speaks)
    assert told.stdout == ""
    assert told.stderr == "plain [line]\nwarning: something odd\n"
    assert not logging.getLogger("stresnet").handlers, "the library alone stays silent"


@pytest.mark.parametrize(
    ("option", "lines"), [("-v", 3), ("--verbose", 3), ("-q", 1), ("--quiet", 1)]
)
def test_verbose_and_quiet(run, option: str, lines: int) -> None:
    assert len(run(speaks, option).stderr.splitlines()) == lines
    assert len(run(speaks).stderr.splitlines()) == 2, "the next call is as usual again"


def test_a_known_error_is_one_line_and_its_exit_code(run) -> None:
    def fails() -> None:
        raise VideoError("clip.mp4: no video stream", remedy="remove it")

    told = run(fails)
    assert (told.exit_code, told.stderr) == (
        1,
        "error: clip.mp4: no video stream. Fix: remove it\n",
    )


def test_an_unforeseen_error_is_one_sentence_and_a_traceback_only_with_v(run) -> None:
    def fails() -> None:
        raise ZeroDivisionError("by\nzero")

    told = run(fails)
    assert told.exit_code == 70
    (line,) = told.stderr.splitlines()
    assert "ZeroDivisionError: by zero" in line
    assert "report" in line
    assert "-v" in line
    loud = run(fails, "-v")
    assert loud.exit_code == 70
    assert "Traceback" in loud.stderr


def test_a_place_that_cannot_be_looked_at_is_no_bug(run) -> None:
    def fails() -> None:
        raise PermissionError(13, "Permission denied", "locked/a.mp4")

    told = run(fails)
    assert told.exit_code == 2
    assert "locked/a.mp4: cannot be opened (Permission denied). Fix: check" in told.stderr


def test_a_full_disk_is_the_machine_s_problem(run) -> None:
    def fails() -> None:
        raise OSError(28, "No space left on device")

    told = run(fails)
    assert (told.exit_code, len(told.stderr.splitlines())) == (3, 1)
    assert "disk is full" in told.stderr


def test_a_name_that_stdout_cannot_spell_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    prepare_streams()
    print("Gr\u00fc\u00dfe.mp4", flush=True)
    assert out.buffer.getvalue() == b"Gr\\xfc\\xdfe.mp4\n"


def test_an_exit_stays_an_exit(run) -> None:
    def ends() -> None:
        raise typer.Exit(1)

    assert (run(ends).exit_code, run(ends).stderr) == (1, "")


def test_every_verb_has_a_help() -> None:
    """Its texts are markup: a bracket in the wrong place would end it in a traceback."""
    verbs: list[list[str]] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        verbs += [[name, verb] for verb in getattr(command, "commands", ())] or [[name]]
    assert ["train"] in verbs
    assert ["idt", "extract"] in verbs
    for verb in verbs:
        told = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "80"})
        assert told.exit_code == 0, verb
        assert "--verbose" in told.stdout
        # A flag with two long names leaves too little room for what is said of each.
        column = re.search(r"--verbose.*?(?=Report)", told.stdout)
        assert column and len(column[0]) < 55, verb


def test_a_help_is_no_wider_than_a_terminal() -> None:
    """Typer keeps the line breaks of all paragraphs but the first."""
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        for verb in getattr(command, "commands", {"": command}).values():
            _, *further = inspect.cleandoc(verb.help).split("\n\n")
            broken = [line for text in further for line in text.splitlines() if text != line]
            assert all(len(line) < 79 for line in broken), verb.name


def test_a_help_says_the_defaults_that_are_no_values() -> None:
    """As markup, a bracket of our own in a help text would be lost without a word."""
    told = CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).stdout
    assert "[default: (a timeline for videos longer than 10 s)]" in told
    assert "[default: (one per core)]" in told
    sources = Path(stresnet.__file__).parent.joinpath("cli").glob("*.py")
    assert not [path.name for path in sources if "[default" in path.read_text(encoding="utf-8")]


def test_the_version_comes_from_one_place() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert told.stdout == f"stresnet {stresnet.__version__}\n"


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What a terminal is given by a verb that fails."""
    ours, theirs = pty.openpty()
    environment = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-m", "stresnet", *arguments],
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm-256color"} | variables,
        check=False,
    )
    os.close(theirs)
    given = os.read(ours, 1 << 16).decode()
    os.close(ours)
    return given


COLOUR = re.compile(r"\x1b\[[\d;]*3\d")


def test_colours_are_for_terminals_without_no_color() -> None:
    asked = ("train", "--recipe", "nonsense", "nowhere")
    assert "no recipe" in (told := on_a_terminal(*asked))
    assert COLOUR.search(told)
    assert "no recipe" in (told := on_a_terminal(*asked, NO_COLOR="1"))
    assert not COLOUR.search(told)
