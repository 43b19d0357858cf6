"""One clip -> what happens in it, and the videos that show why. Runs in the worker process.

upload ─> frames and flow (once) ─> classes, timeline ─> attention ─> four videos
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stresnet.data.prepare.many import prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.container import printable
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.data.video.probe import probe
from stresnet.drawing import Picture
from stresnet.errors import StresnetError, VideoError
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report.pictures import flow_pictures
from stresnet.explanation import Explanation, explain_stored
from stresnet.explanation.explanation import TimedVideo
from stresnet.explanation.pictures import BLOCK, overlay
from stresnet.files import atomic_write
from stresnet.flow import AUTHORS, FAST
from stresnet.model import load_model
from stresnet.prediction import (
    QUICK,
    Timeline,
    annotate,
    predict_stored,
    timeline,
    to_csv,
    to_vtt,
)
from stresnet.web.job import RESULT, UPLOAD

SHORT = 10.0  # seconds up to which a clip is seen whole, as `stresnet predict` sees it
MOST_FRAMES_A_SECOND = 120  # of a clip that tells no length, before it counts as too long
PLAYED_SIDE = 360  # px, short side of the video that is played
TOP_K = 5

OnProgress = Callable[[str, float], None]  # what is done now, and the share of all that is done


class Stage(NamedTuple):
    """Part of the work, from share `begin` to share `end` of the whole."""

    name: str
    begin: float
    end: float

    def at(self, done: float) -> tuple[str, float]:
        """For `OnProgress`, when `done` in [0, 1] of this stage is done."""
        return self.name, round(self.begin + (self.end - self.begin) * done, 3)


READING = Stage("Reading the clip and its motion", 0.0, 0.25)
RECOGNISING = Stage("Recognising", 0.25, 0.45)
LOOKING = Stage("Finding where the network looked", 0.45, 0.6)
DRAWING = Stage("Drawing the views", 0.6, 1.0)


class Recogniser:
    """A model, ready for clips.

    Args:
        model: what `load_model` takes.
        threads: CPU threads for the optical flow.
        fast: quicker flow and fewer chunks, as `stresnet predict --fast`.

    Raises:
        WeightsError: the model's folder cannot be used.
    """

    def __init__(self, model: str | Path, *, threads: int, fast: bool) -> None:
        self._net = load_model(model, device="cpu")
        self._threads = threads
        self._flow = FAST if fast else AUTHORS
        self._protocol = QUICK if fast else PAPER

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self._net.class_names)

    def recognise(
        self, folder: Path, name: str, *, max_seconds: float, on_progress: OnProgress
    ) -> dict[str, Any]:
        """Work on `folder`/upload; write the files of `job.FILES` there; return the result's.

        Args:
            name: of the clip, in messages and files.
            max_seconds: a longer clip is refused.

        Raises:
            VideoError: it is no video, or too long; named by `name`.
        """
        upload = folder / UPLOAD
        try:
            stored = self._prepared(upload, name, max_seconds, on_progress)
            found, result = self._recognised(stored, name, on_progress)
            on_progress(*LOOKING.at(0))
            seen = explain_stored(self._net, stored, name, intervals=0)
            result["explained"] = _why(seen)
            _draw(folder, found, seen, on_progress)
        except StresnetError as error:
            problem = error.problem.replace(printable(upload), name)
            raise type(error)(problem, remedy=error.remedy) from error
        _write(folder / "result.csv", to_csv([found]))
        _write(folder / "subtitles.vtt", to_vtt(found.segments))
        _write(folder / RESULT, json.dumps(result, ensure_ascii=False, indent=1))
        stored.path.unlink()
        return result

    def _prepared(
        self, upload: Path, name: str, max_seconds: float, on_progress: OnProgress
    ) -> StoredVideo:
        said = probe(upload)
        _require_short(said.seconds, name, max_seconds)
        most = round(max_seconds * MOST_FRAMES_A_SECOND)

        def on_frames(done: int) -> None:
            if done > most:
                raise _too_long(name, max_seconds)
            on_progress(*READING.at(min(done / said.frames, 1.0) if said.frames else 0.5))

        stored = prepare_video(
            upload,
            upload.with_name("prepared.zip"),
            parameters=self._flow,
            threads=self._threads,
            on_frames=on_frames,
        )
        _require_short(stored.duration, name, max_seconds)
        return stored

    def _recognised(
        self, stored: StoredVideo, name: str, on_progress: OnProgress
    ) -> tuple[Timeline, dict[str, Any]]:
        on_progress(*RECOGNISING.at(0))
        found = timeline(
            self._net,
            stored,
            protocol=self._protocol,
            on_progress=lambda done, total: on_progress(*RECOGNISING.at(done / (total or done))),
        )
        found = replace(found, source=name)
        result = found.as_dict(top_k=TOP_K, windows=True)
        if stored.duration <= SHORT:
            whole = predict_stored(self._net, stored, name, top_k=TOP_K, protocol=self._protocol)
            result["predictions"] = [asdict(entry) for entry in whole.predictions]
        return found, result


def _require_short(seconds: float, name: str, max_seconds: float) -> None:
    if seconds > max_seconds + 0.5:
        raise _too_long(name, max_seconds, f"{seconds:.0f} seconds long, ")


def _too_long(name: str, max_seconds: float, told: str = "") -> VideoError:
    return VideoError(
        f"{name}: {told}longer than the {max_seconds:g} seconds that are allowed here",
        remedy="cut out the part that matters",
    )


def _why(seen: Explanation) -> dict[str, Any]:
    """What the attention view shows, in numbers: each stream's share and strongest place."""
    told = seen.as_dict()
    return {key: told[key] for key in ("label", "margin", "streams", "peaks")}


def _draw(folder: Path, found: Timeline, seen: Explanation, on_progress: OnProgress) -> None:
    """The four videos, all H.264."""
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
                    on_progress(*DRAWING.at((number + count / stored.num_frames) / 4))
    annotate(
        found,
        folder / UPLOAD,
        folder / "annotated.mp4",
        on_progress=lambda done, total: on_progress(*DRAWING.at((3 + done / total) / 4)),
    )


def _flow_frames(stored: TimedVideo) -> Iterator[tuple[Picture, float]]:
    """The flow from each frame to the next, as colours, and the frame's time in seconds."""
    for first in range(0, stored.num_frames, BLOCK):
        indices = np.arange(first, min(first + BLOCK, stored.num_frames))
        pictures = flow_pictures(stored, indices)
        yield from zip(pictures, map(float, stored.times[indices]), strict=True)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")
