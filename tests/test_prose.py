"""Words that the documents and the sources do without: they are not plain English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".j2", ".html", ".js"}
NOT_PLAIN = re.compile(
    r"\b(gone on with|goes on (?:from|where|with)|the same command goes on|anew|lest|mends?|mended"
    r"|not wished for)\b",
    re.IGNORECASE,
)

# The log is a diary: what was written on a day stays.
FILES = [
    path
    for folder in (ROOT / "src", ROOT / "docs", ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    for path in ([folder] if folder.is_file() else sorted(folder.rglob("*")))
    if path.suffix in SUFFIXES and path.name != "log.md"
]


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 150


@pytest.mark.parametrize("text", ["It is gone on with.", "made anew", "what mends it", "lest"])
def test_such_words_are_found(text: str) -> None:
    assert NOT_PLAIN.search(text)


def test_the_sources_and_documents_are_in_plain_english() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NOT_PLAIN.search(line)
    ]
    assert not found, "\n".join(found)
