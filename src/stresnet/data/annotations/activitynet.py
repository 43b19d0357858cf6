"""ActivityNet's JSON (Caba Heilbron et al., CVPR 2015), and THUMOS' text files.

{"database": {VIDEO: {"subset": "training", "annotations": [{"segment": [0.1, 9.8], "label": ...
Diving_val.txt:  VIDEO 12.3 15.0                  the label is in the file's name
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stresnet.data.annotations.annotation import Annotation, seconds_of, unreadable


def read_activitynet(content: Mapping[str, Any]) -> list[Annotation]:
    """Read the database; its subsets become train and test.

    Validation is for testing where there are training videos, as in ActivityNet, whose test labels
    are not public; where there are none, as in THUMOS, it is for training.
    """
    database = content["database"]
    subsets = {str(each.get("subset", "")).lower() for each in database.values()}
    trains = "training" if subsets & {"training", "train"} else "validation"
    found = []
    for video, each in database.items():
        subset = str(each.get("subset", "")).lower()
        split = "train" if trains.startswith(subset[:5] or "-") else "test"
        for number, annotation in enumerate(each.get("annotations", ())):
            start, end = map(float, annotation["segment"])
            found.append(
                Annotation(video, str(annotation["label"]), start, end,
                           fps=float(each["fps"]) if each.get("fps") else None,
                           split=split if len(subsets) > 1 else None,
                           where=f"{video}, annotation {number}")
            )  # fmt: skip
    return found


def read_thumos(path: Path, text: str) -> list[Annotation]:
    """Read one class's file, as `Diving_val.txt` or `Diving_test.txt`.

    Raises:
        DatasetError: a line is not a video and two times, or the name holds no class.
    """
    match = re.fullmatch(r"(.+)_(val|validation|test|train)", path.stem)
    if match is None:
        raise unreadable(path, "the name is not CLASS_val.txt or CLASS_test.txt")
    split = "test" if match[2] == "test" else "train"
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            video, start, end = line.split()
            times = seconds_of(start), seconds_of(end)
        except ValueError as error:
            raise unreadable(path, f"line {number} is {line.strip()[:60]!r}") from error
        found.append(Annotation(video, match[1], *times, split=split, where=f"line {number}"))
    return found
