"""Which tool wrote a file, and what it says: ELAN, BORIS, VIA, CVAT, Label Studio, ActivityNet.

A file is recognised by its content; its ending only says how to open it. A reader takes what its
tool writes; what it raises on anything else (`NOT_AS_WRITTEN`) becomes a `DatasetError` here.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from stresnet.data.annotations.activitynet import read_activitynet, read_thumos
from stresnet.data.annotations.annotation import Annotation, unreadable
from stresnet.data.annotations.boris import boris_header, read_boris
from stresnet.data.annotations.cvat import read_cvat
from stresnet.data.annotations.elan import read_elan
from stresnet.data.annotations.label_studio import read_label_studio
from stresnet.data.annotations.via import CSV_MARK, read_via_csv, read_via_project
from stresnet.files import DAMAGE, read_text

ENDINGS = (".eaf", ".json", ".xml", ".zip", ".csv", ".tsv", ".txt")
LISTS = (".csv", ".tsv")  # a table of videos, too, may have these
NOT_AS_WRITTEN = (
    *DAMAGE,  # KeyError, TypeError and ValueError are among it
    *(csv.Error, ElementTree.ParseError, AttributeError, IndexError, RecursionError),
)
LARGEST = 500_000_000  # bytes; no annotation file is larger, and a forged archive must end


def read_annotations(path: Path, tiers: Collection[str] = ()) -> list[Annotation]:
    """Read the file of an annotation tool.

    Args:
        tiers: which of ELAN's tiers, or of VIA's attributes, hold the labels; none: see the tools.

    Raises:
        DatasetError: it cannot be read, or belongs to no known tool.
    """
    try:
        return _read(path, _text(path), tiers)
    except NOT_AS_WRITTEN as error:
        raise unreadable(path, _reason(error)) from error


def _read(path: Path, text: str, tiers: Collection[str]) -> list[Annotation]:
    if text.lstrip().startswith("<"):
        return _read_xml(path, text, tiers)
    if path.suffix.lower() == ".json":
        return _read_json(path, json.loads(text), tiers)
    if text.startswith(CSV_MARK):
        return read_via_csv(text, tiers)
    if path.suffix.lower() == ".txt":
        return read_thumos(path, text)
    rows = table(text)
    header = boris_header(rows)
    if header is None:
        raise unreadable(
            path,
            "its columns are not those of BORIS or VIA; a list with path, label, start and end "
            "needs no conversion: `stresnet train` takes it as it is",
        )
    return read_boris(path, rows, header)


def _reason(error: Exception) -> object:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    in_words = isinstance(error, OSError) or type(error) is ValueError
    return error if in_words else f"{type(error).__name__}: {error}"


def is_annotations(path: Path) -> bool:
    """Whether a file is an annotation tool's, rather than a CSV list of videos."""
    if path.suffix.lower() not in LISTS:
        return path.suffix.lower() in ENDINGS
    try:
        text = _text(path)
        return text.startswith(CSV_MARK) or boris_header(table(text)) is not None
    except (OSError, UnicodeDecodeError, csv.Error):
        return False  # reading it as a list will say what is wrong


def table(text: str) -> list[list[str]]:
    """Return the cells of a table, whose first lines tell the separator."""
    head = "\n".join(text.splitlines()[:60])
    return list(csv.reader(text.splitlines(), delimiter=separator(head)))


def separator(head: str) -> str:
    """Return what the head of a table holds most of: comma, semicolon or tab."""
    return max(",;\t", key=head.count)


def _text(path: Path) -> str:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("annotations.xml")
            if info.file_size > LARGEST:
                raise zipfile.BadZipFile("annotations.xml is too large")
            return archive.read(info).decode("utf-8-sig")
    return read_text(path)


def _read_xml(path: Path, text: str, tiers: Collection[str]) -> list[Annotation]:
    if "<!ENTITY" in text:  # could expand without end
        raise unreadable(path, "it declares entities, which no annotation tool does")
    # The declared encoding is that of the bytes, which are decoded already.
    root = ElementTree.fromstring(text.encode("utf-8"), ElementTree.XMLParser(encoding="utf-8"))
    if root.tag == "ANNOTATION_DOCUMENT":
        return read_elan(path, root, tiers)
    if root.tag == "annotations":
        return read_cvat(root)
    raise unreadable(path, f"its root is <{root.tag}>, neither ELAN's nor CVAT's")


def _read_json(path: Path, content: Any, tiers: Collection[str]) -> list[Annotation]:
    if isinstance(content, dict) and "database" in content:
        return read_activitynet(content)
    if isinstance(content, dict) and {"metadata", "view", "file"} <= content.keys():
        return read_via_project(content, tiers)
    if isinstance(content, dict) and "annotations" in content:
        content = [content]  # one task
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        return read_label_studio(path, content)
    raise unreadable(path, "neither Label Studio's, VIA's nor ActivityNet's JSON")
