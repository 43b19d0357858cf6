"""Words that the documents and the sources do without: they are not plain English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".j2", ".html", ".js"}
NOT_PLAIN = re.compile(
    r"\b(gone on with|goes on (?:from|where|with)|the same command goes on|anew|lest|mends?|mended"
    r"|wished(?: for)?)\b"
    r"|(?<!there )\b(?:is|are) no (?!longer|more|less|motion)",  # "is not a ..."
    re.IGNORECASE,
)
LINE = 100  # characters; tables may be longer

# The log is a diary: what was written on a day stays.
FILES = [
    path
    for folder in (ROOT / "src", ROOT / "docs", ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    for path in ([folder] if folder.is_file() else sorted(folder.rglob("*")))
    if path.suffix in SUFFIXES and path.name != "log.md"
]


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 150


@pytest.mark.parametrize(
    "text", ["It is gone on with.", "made anew", "what mends it", "lest", "that is no file"]
)
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


PAGES = [path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]


def test_lines_of_the_documents_end_at_100() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)}"
        for path in PAGES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LINE and not line.lstrip().startswith("|")
    ]
    assert not found, "\n".join(found)


def test_files_that_the_documents_name_exist() -> None:
    homes = ("", "src/stresnet", "docs", "benchmarks", "tests")
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PAGES
        if path.name not in ("log.md", "CHANGELOG.md")
        for name in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml))`", path.read_text("utf-8"))
        if not any((ROOT / home / name).exists() for home in homes)
    ]
    assert not missing, "\n".join(missing)


def test_the_front_page_and_the_pictures_stay_small() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}
    assert sizes["recognised.webp"] < 300_000
    assert sum(sizes.values()) < 1_500_000
