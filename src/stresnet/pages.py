"""Files made of the templates in `assets/`, most of them offline HTML pages; pictures as data URIs.

Values are escaped unless a template says otherwise, and a value that a template asks for and does
not get is an error.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import jinja2


def render_page(template: str, /, **values: Any) -> str:
    """Fill in `assets/TEMPLATE.j2`."""
    return _environment().get_template(f"{template}.j2").render(values)


def data_uri(content: bytes, kind: str) -> str:
    """Return a file's content as an address, so that it stays inside the page.

    Args:
        kind: its media type, such as "image/jpeg".
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("stresnet", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
