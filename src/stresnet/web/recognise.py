"""One clip -> what happens in it, and the videos that show why. Runs in the worker process.

upload ─> frames and flow (once) ─> classes, timeline ─> attention ─> four videos
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stresnet.data.prepare.one import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.data.video.probe import probe
from stresnet.drawing import Picture
from stresnet.errors import StresnetError, VideoError, printable
from stresnet.evaluation.report.pictures import flow_pictures
from stresnet.explanation import Explanation, explain
from stresnet.explanation.class_activation_map import STREAMS
from stresnet.explanation.explanation import TimedVideo
from stresnet.explanation.page import BLOCK, overlay
from stresnet.files import write_text
from stresnet.prediction.annotated_video import annotate
from stresnet.prediction.outputs import to_csv, to_vtt
from stresnet.prediction.recognise import LONG
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import Timeline
from stresnet.progress import Progress
from stresnet.web.job import RESULT, UPLOAD

MOST_FRAMES_PER_SECOND = 120  # of a clip whose header has no length, before it counts as too long
PLAYED_SIDE = 360  # px, short side of the video that is played
TOP_K = 5

OnStage = Callable[[str, float], None]  # what is done now, and the share of all that is done


class Stage(NamedTuple):
    """Part of the work, from share `begin` to share `end` of the whole."""

    name: str
    begin: float
    end: float

    def at(self, done: float) -> tuple[str, float]:
        """Return the arguments of `OnStage` when `done` in [0, 1] of this stage is done."""
        return self.name, round(self.begin + (self.end - self.begin) * done, 3)


READING = Stage("Reading the clip and its motion", 0.0, 0.25)
RECOGNISING = Stage("Recognising", 0.25, 0.45)
LOOKING = Stage("Finding where the network looked", 0.45, 0.6)
DRAWING = Stage("Drawing the views", 0.6, 1.0)


def recognise(
    recogniser: Recogniser,
    folder: Path,
    name: str,
    *,
    max_seconds: float,
    threads: int,
    on_stage: OnStage,
) -> dict[str, Any]:
    """Recognise `folder`/upload; write the files of `job.FILES` there; return the job's `result`.

    Args:
        name: of the clip, in messages and files.
        max_seconds: a longer clip is refused.
        threads: as in `serve`.

    Raises:
        VideoError: it is not a video, or too long; the message calls it by `name`.
    """
    upload, settings = folder / UPLOAD, recogniser.settings()
    try:
        stored = _prepared(recogniser, upload, name, max_seconds, threads, on_stage)
        on_stage(*RECOGNISING.at(0))
        found = recogniser.timeline_of_store(
            stored,
            name,
            settings,
            on_progress=lambda now: on_stage(*RECOGNISING.at(_share(now))),
        )
        result = found.as_dict(top_k=TOP_K, windows=True)
        if stored.duration <= LONG:  # ranked as `stresnet predict` does it
            whole = recogniser.ranking(stored, name, TOP_K)
            result["predictions"] = [asdict(entry) for entry in whole.predictions]
        on_stage(*LOOKING.at(0))
        seen = explain(recogniser.net, stored, intervals=0)
        result["explained"] = {
            "label": seen.label,
            "margin": seen.margin,
            "streams": dict(zip(STREAMS, seen.of_streams.tolist(), strict=True)),
            "peaks": {name: asdict(seen.peak(stream)) for stream, name in enumerate(STREAMS)},
        }
        _draw(folder, found, seen, on_stage)
    except StresnetError as error:
        problem = error.problem.replace(printable(upload), name)
        raise type(error)(problem, remedy=error.remedy) from error
    write_text(folder / "result.csv", to_csv([found]))
    write_text(folder / "subtitles.vtt", to_vtt(found.segments))
    write_text(folder / RESULT, json.dumps(result, ensure_ascii=False, indent=1))
    stored.path.unlink()
    return result


def _prepared(
    recogniser: Recogniser,
    upload: Path,
    name: str,
    max_seconds: float,
    threads: int,
    on_stage: OnStage,
) -> StoredVideo:
    def require_short(seconds: float) -> None:
        if seconds > max_seconds + 0.5:
            raise VideoError(
                f"{name}: {seconds:.0f} seconds long or longer, more than the {max_seconds:g} "
                "seconds that are allowed here",
                remedy="cut out the part that matters",
            )

    header = probe(upload)
    require_short(header.seconds)

    def on_frames(done: int) -> None:
        require_short(done / MOST_FRAMES_PER_SECOND)
        on_stage(*READING.at(min(done / header.frames, 1.0) if header.frames else 0.5))

    stored = prepare_video(
        upload,
        upload.with_name("prepared.zip"),
        parameters=recogniser.flow,
        short_side=recogniser.short_side,
        threads=threads,
        device=recogniser.device,
        on_frames=on_frames,
    )
    require_short(stored.duration)
    return stored


def _draw(folder: Path, found: Timeline, seen: Explanation, on_stage: OnStage) -> None:
    """Write the four videos, all H.264."""
    stored = seen.video
    frames = iter_frames(folder / UPLOAD, short_side=PLAYED_SIDE)
    views = {
        "video.mp4": ((frame.image, frame.time) for frame in frames),
        "flow.mp4": _flow_frames(stored),
        "attention.mp4": overlay(seen),
    }
    for number, (name, pictures) in enumerate(views.items()):
        with video_writer(folder / name, fps=stored.fps or 25.0) as writer:
            for count, (picture, time) in enumerate(pictures):
                writer.add(picture, time)
                if count % BLOCK == 0:
                    on_stage(*DRAWING.at((number + count / stored.num_frames) / 4))
    annotate(
        found,
        folder / UPLOAD,
        folder / "annotated.mp4",
        on_progress=lambda now: on_stage(*DRAWING.at((3 + _share(now)) / 4)),
    )


def _share(now: Progress) -> float:
    return now.done / (now.total or now.done)


def _flow_frames(stored: TimedVideo) -> Iterator[tuple[Picture, float]]:
    """Yield the flow from each frame to the next, as colours, and the frame's time in seconds."""
    for first in range(0, stored.num_frames, BLOCK):
        indices = np.arange(first, min(first + BLOCK, stored.num_frames))
        pictures = flow_pictures(stored, indices)
        yield from zip(pictures, map(float, stored.times[indices]), strict=True)
