"""A table in Markdown, to be read on a terminal and copied into a document."""

from __future__ import annotations


def show(title: str, rows: list[dict[str, str]]) -> None:
    """Print rows of one kind, keys as the columns' heads; the first column is words."""
    heads = list(rows[0])
    widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
    lines = [heads, *([row[head] for head in heads] for row in rows)]
    print(f"\n{title}\n")
    for number, line in enumerate(lines):
        first, *others = zip(line, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print("|", " | ".join(cells), "|")
        if number == 0:
            rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
            print("|", " | ".join(rules), "|")
