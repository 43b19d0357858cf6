"""Docstrings here are drawn as in Markdown: what is indented after a blank line stays as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
CODE_OR_MARK = re.compile(r"`[^`]*`|[*|]")
LETTER = re.compile(r"(?<=: )([A-Z])\.$")  # "num_classes: K." is not an item of a list
BEFORE_NAPOLEON = 400  # whose priority is 500


def keep_drawings(
    app: Sphinx, kind: str, name: str, subject: object, options: object, lines: list[str]
) -> None:
    """Put `::` before each indented block of a docstring, outside its sections."""
    kept: list[str] = []
    in_section = in_drawing = False
    for line in lines:
        if line.strip() and not line.startswith(" "):
            in_section, in_drawing = SECTION.match(line) is not None, False
        elif line.strip() and not in_section and not in_drawing and kept and not kept[-1]:
            kept += ["::", ""]
            in_drawing = True
        kept.append(line if in_drawing else LETTER.sub(r"\1\.", CODE_OR_MARK.sub(_escaped, line)))
    lines[:] = kept


def _escaped(found: re.Match[str]) -> str:
    """Code stays as it is; a star or bar outside is a star or bar (ResNet*, |x|)."""
    return found[0] if found[0].startswith("`") else f"\\{found[0]}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", keep_drawings, priority=BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
