"""Label Studio's JSON: timeline labels in frames counted from 1, or labels in seconds.

`<TimelineLabels>` of a `<Video>` gives ranges of frames, both ends included, at the frame rate of
the labelling configuration; `<Labels>` of an `<Audio>` beside the video gives seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stresnet.data.annotations.annotation import Annotation, unreadable

FROM, TO = "actions", "video"  # names in the labelling configuration


def read_label_studio(path: Path, tasks: Sequence[Mapping[str, Any]]) -> list[Annotation]:
    """Read exported tasks (JSON or JSON-MIN): from each, its latest annotation not cancelled.

    Raises:
        DatasetError: nobody has submitted an annotation.
    """
    found = []
    for number, task in enumerate(tasks, 1):
        data = task.get("data", task)
        video = _video(data)
        fps = data.get("fps")
        for value in _values(task):
            labels = value.get("timelinelabels") or value.get("labels") or []
            ranges = value.get("ranges") or [value]
            in_frames = "ranges" in value
            for label in labels:
                for each in ranges:
                    start = float(each["start"]) - (1 if in_frames else 0)
                    place = f"task {task.get('id', number)}"
                    found.append(
                        Annotation(video, str(label), start, float(each["end"]), in_frames,
                                   float(fps) if fps else None, where=place)
                    )  # fmt: skip
    if not found and any(task.get("predictions") for task in tasks):
        raise unreadable(path, "its predictions are not annotations before someone submits them")
    return found


def _values(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "annotations" in task:
        kept = [each for each in task["annotations"] if not each.get("was_cancelled")]
        for result in kept[-1]["result"] if kept else ():
            if result["type"] in ("timelinelabels", "labels"):
                yield result["value"]
        return
    for cell in task.values():  # JSON-MIN: a key for each control
        if isinstance(cell, list):
            yield from (each for each in cell if isinstance(each, dict) and "start" in str(each))


def _video(data: Mapping[str, Any]) -> str:
    """The task's video: /data/upload/1/0a1b2c3d-clip.mp4, ...?d=folder/clip.mp4, or an address."""
    texts = [text for text in data.values() if isinstance(text, str)]
    for address in [data.get("video"), data.get("video_url"), *texts]:
        if isinstance(address, str) and address:
            local = parse_qs(urlsplit(address).query).get("d")
            return local[0] if local else address
    raise ValueError("a task names no video")


def to_label_studio(
    segments: Sequence[tuple[float, float, str, float | None]], video: Path, *, fps: float
) -> str:
    """Return a task with a prediction, for `<TimelineLabels name="actions" toName="video">`.

    Args:
        segments: start and end in seconds, label, score in [0, 1] or None.
        fps: the labelling configuration's (`<Video frameRate="...">`), in which frames count.
    """
    results = []
    for number, (start, end, label, score) in enumerate(segments):
        first, last = round(start * fps) + 1, max(round(end * fps), round(start * fps) + 1)
        value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [label]}
        result = {"id": f"s{number}", "type": "timelinelabels", "value": value,
                  "from_name": FROM, "to_name": TO}  # fmt: skip
        results.append(result | ({} if score is None else {"score": round(score, 4)}))
    prediction = {"model_version": "stresnet", "result": results}
    task = {"data": {"video": str(video), "fps": fps}, "predictions": [prediction]}
    return json.dumps([task], indent=1, ensure_ascii=False) + "\n"
