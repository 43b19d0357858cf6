"""What the documents tell a reader to type.

A comment before a block says how it is to be read:

    <!-- not run: WHY -->          what a test cannot have: a GPU, a data set, a download
    <!-- slow: WHY -->             run among the slow tests only
    <!-- exit code 1: WHY -->      each of its commands ends so
    <!-- needs: MODULE ... -->     optional packages
    <!-- file: NAME -->            the block is a file's text
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MARK = re.compile(r"<!-- (not run|slow|exit code 1|needs|file): (.+?) -->")
OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "(", ")"}


@dataclass(frozen=True)
class Block:
    """A fenced block, its language ("" for an indented one) and the marks before it."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str]

    def commands(self) -> list[str]:
        """One a line, continued lines joined, comments left out."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [text for line in lines if (text := re.sub(r"(^|\s)#.*", "", line).strip())]


def pages() -> list[Path]:
    """Every document that Sphinx builds, and the README."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of code of a page, from its top."""
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            marks |= dict(MARK.findall(token.content))
        elif token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield Block(page, line, token.info.strip(), token.content, marks)
            marks = {}
        elif token.type == "inline":
            marks = {}


def code_in_lines(page: Path) -> Iterator[str]:
    """What stands between backticks in the text of a page, tables included."""
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def words(command: str) -> list[str]:
    """A shell's words, operators among them."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a drawing, or an apostrophe: no shell would read it
        return command.split()


def calls(command: str) -> Iterator[list[str]]:
    """The words after each `stresnet` that a line calls, up to the next operator."""
    call: list[str] | None = None
    for word in words(command):
        if word in OPERATORS:
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word.strip("[],;"))
        elif word == "stresnet":
            call = []
    if call is not None:
        yield call
