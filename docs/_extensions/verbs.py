"""The page `cli`: every verb of the command line, as `--help` says it, cannot grow old."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer.main

from stresnet.cli import app as program

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = "cli"


def add_verbs(app: Sphinx, page: str, source: list[str]) -> None:
    """Add a section for each verb to the page's Markdown, in the order of `stresnet --help`."""
    if page == PAGE:
        source[0] += "\n".join(_verbs(typer.main.get_command(program), "stresnet"))


def _verbs(group: Any, path: str) -> Iterator[str]:
    """Markdown: a section for each verb of a group, groups in it included."""
    for name, command in group.commands.items():
        called = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from _verbs(command, called)
        else:
            yield from _verb(command, called)


def _verb(command: Any, called: str) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    yield from (f"## {called}", "", *_options_as_code(command.help).splitlines(), "")
    yield from ("| | |", "|---|---|")
    for each in arguments:
        yield f"| `{_in_cell(each.metavar)}` | {_cell(each.help)} |"
    for each in options:
        yield f"| {_spelling(each)} | {_cell(each.help)}{_default(each)} |"
    yield ""


def _spelling(option: Any) -> str:
    """`--timeline`, `--whole`; what takes a value also says which."""
    spellings = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
    return spellings if option.is_flag else f"{spellings} {option.metavar or ''}".rstrip()


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return f" Default: {_cell(option.show_default)}."
    shown = option.show_default and not option.is_flag and option.default not in (None, "", ())
    return f" Default: `{option.default}`." if shown else ""


def _cell(text: str | None) -> str:
    return _options_as_code(_in_cell(" ".join((text or "").split())))


def _in_cell(text: str) -> str:
    return text.replace("|", r"\|")


def _options_as_code(text: str) -> str:
    """Else two hyphens become a dash."""
    return re.sub(r"(?<![\w`-])--[\w-]+", r"`\g<0>`", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", add_verbs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
