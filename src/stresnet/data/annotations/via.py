"""VIA 3, the VGG Image Annotator for video (Dutta and Zisserman, 2019): its CSV, its project.

A temporal segment has two times in seconds, a still frame one. Its label is the value of an
attribute, which for a choice is the number of an option.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from stresnet.data.annotations.annotation import Annotation

CSV_MARK = "# Exported using VGG Image Annotator"
COLUMNS = ("metadata_id", "file_list", "flags", "temporal_coordinates", "spatial_coordinates",
           "metadata")  # fmt: skip


def read_via_csv(text: str, attributes: Collection[str] = ()) -> list[Annotation]:
    """Read VIA's CSV; from the attributes named, else the first that has a value."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    known: Mapping[str, Any] = {}
    for line in comments:
        if match := re.match(r"# ATTRIBUTES? = (.*)", line):
            known = json.loads(match[1])
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for cells in csv.reader(lines):
        row = dict(zip(COLUMNS, cells, strict=False))
        if row.get("metadata_id") == "metadata_id":
            continue
        times = json.loads(row.get("temporal_coordinates", ""))
        values = json.loads(row.get("metadata", ""))
        # VIA does not double the first quote in this cell: it is not CSV, nor JSON afterwards.
        video = re.split(r'"+,"+', re.sub(r'^\["*|["\]]+$', "", row["file_list"]))[0]
        found += _annotations(video, times, values, known, attributes, row["metadata_id"])
    return found


def read_via_project(
    project: Mapping[str, Any], attributes: Collection[str] = ()
) -> list[Annotation]:
    """Read a saved project; otherwise like `read_via_csv`."""
    found = []
    for identity, each in project["metadata"].items():
        first = project["view"][each["vid"]]["fid_list"][0]
        file = project["file"][str(first)]
        video = file.get("fname") or file["src"]
        known, values = project["attribute"], each["av"]
        found += _annotations(video, each["z"], values, known, attributes, identity)
    return found


def _annotations(
    video: str,
    times: list[float],
    values: Mapping[str, str],
    known: Mapping[str, Any],
    attributes: Collection[str],
    identity: str,
) -> list[Annotation]:
    if not times:  # of the whole file, or of a region in a picture
        return []
    for name, value in values.items():
        attribute = known.get(name, name)
        is_name = isinstance(attribute, str)
        called = attribute if is_name else attribute.get("aname", name)
        options = {} if is_name else attribute.get("options", {})
        ticked = value.split(",") if value not in options else [value]  # of checkboxes, several
        labels = [options[each] for each in ticked] if options.keys() >= {*ticked} else [value]
        labels = [label for each in labels if (label := str(each).strip())]
        if labels and (not attributes or called in attributes):
            start, end = float(times[0]), float(times[1]) if len(times) > 1 else None
            where = f"segment {identity}"
            return [Annotation(video, label, start, end, where=where) for label in labels]
    return []
