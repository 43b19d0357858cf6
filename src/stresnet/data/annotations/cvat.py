"""CVAT's XML 1.1, for video and for images: tracks and tags become intervals of frames.

A track lasts from its first shape to the next one that is marked `outside`, or to its last shape. A
tag stands on single frames: frames in a row are one interval. Frames are numbered as in the video.
"""

from __future__ import annotations

import re
from collections import defaultdict
from xml.etree import ElementTree

from stresnet.data.annotations.annotation import Annotation


def read_cvat(root: ElementTree.Element) -> list[Annotation]:
    """Read tracks and tags of a task, a job or a project."""
    tasks = list(root.iter("task")) or list(root.iter("job"))
    sources = {task.findtext("id", ""): _video(task) for task in tasks}
    first = next(iter(sources.values()), "") or root.findtext("meta/source", "").strip()
    steps = {task.findtext("id", ""): _step(task) for task in tasks}
    step_of_first = next(iter(steps.values()), 1)
    found: list[Annotation] = []
    tagged: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for track in root.iter("track"):
        task = track.get("task_id", "")
        video, step = sources.get(task, first), steps.get(task, step_of_first)
        for start, end in _lasting(track, step):
            place = f"track {track.get('id')}"
            label = track.attrib["label"]
            found.append(Annotation(video, label, start, end, in_frames=True, where=place))
    for holder in root.iter():
        for tag in holder.findall("tag"):
            frame = int(tag.get("frame") or holder.attrib["id"])
            task = holder.get("task_id", tag.get("task_id", ""))
            key = (
                sources.get(task, first),
                tag.attrib["label"],
                steps.get(task, step_of_first),
            )
            tagged[key].append(frame)
    for (video, label, step), frames in tagged.items():
        for start, end in _runs(sorted(set(frames)), step):
            found.append(Annotation(video, label, start, end, in_frames=True, where="tags"))
    return found


def _video(task: ElementTree.Element) -> str:
    return (task.findtext("source") or task.findtext("name") or "").strip()


def _step(task: ElementTree.Element) -> int:
    """How far apart the annotated frames are, from `frame_filter`, such as `step=5`."""
    match = re.search(r"step\s*=\s*(\d+)", task.findtext("frame_filter") or "")
    return int(match[1]) if match else 1


def _lasting(track: ElementTree.Element, step: int) -> list[tuple[int, int]]:
    shapes = sorted((int(each.attrib["frame"]), each.get("outside") == "1") for each in track
                    if "frame" in each.attrib)  # fmt: skip
    spans: list[tuple[int, int]] = []
    began: int | None = None
    for frame, outside in shapes:
        if outside and began is not None:
            spans.append((began, frame))
            began = None
        elif not outside and began is None:
            began = frame
    if began is not None:
        spans.append((began, shapes[-1][0] + step))
    return spans


def _runs(frames: list[int], step: int) -> list[tuple[int, int]]:
    """Frames in a row, `step` apart -> (first, after the last)."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame <= runs[-1][1]:
            runs[-1] = (runs[-1][0], frame + step)
        else:
            runs.append((frame, frame + step))
    return runs
