"""Why a video gets its class, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.dataset import FramesAndFlow
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.metrics import softmax
from stresnet.explanation.class_activation_map import STREAMS

DIGITS = 5  # significant, of a number in JSON


class TimedVideo(FramesAndFlow, Protocol):
    """Frames and flow with their times: a prepared video, on disk or in memory."""

    @property
    def times(self) -> NDArray[np.float64]: ...
    @property
    def fps(self) -> float: ...
    @property
    def duration(self) -> float: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Peak:
    """Where and when a stream's evidence for the class is strongest.

    Attributes:
        frame: number, from 0.
        time: seconds.
        x, y: fractions of the frame's width and height, from its upper left corner.
        evidence: there, in units of the margin.
    """

    frame: int
    time: float
    x: float
    y: float
    evidence: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one video gets one class. Streams come in the order appearance, motion.

    The margin is the class's fused unnormalised score above the mean of the others'; it is
    `bias.sum() + maps.sum()`, up to rounding (`residual`).

    Attributes:
        source: the video's path, or "array".
        class_names: K names.
        scores: unnormalised, (K,) of each stream.
        margin: of the class.
        bias: (2,) of each stream's classifier.
        maps: (2,T,h,w) evidence of each stream, chunk and place for the class, or against it if
            below zero.
        centres: (T,) frame that each chunk is centred on; short videos repeat some.
        rows, columns: (h,), (w,) the places, in fractions of the frame's sides.
        edges: (I+1,) frames that bound the I intervals that were hidden in turn.
        losses: (2,I) what the margin loses while one is hidden (see `occlusion.losses`).
        device: what the network was computed on.
        video: the frames and flow that were explained.
    """

    source: str
    label: str
    class_names: tuple[str, ...]
    scores: VideoScores
    margin: float
    bias: NDArray[np.float64]
    maps: NDArray[np.float64]
    centres: NDArray[np.int64]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    edges: NDArray[np.int64]
    losses: NDArray[np.float64]
    device: str
    video: TimedVideo

    @property
    def of_chunks(self) -> NDArray[np.float64]:
        """(2,T) evidence of each stream and chunk."""
        return np.asarray(self.maps.sum((2, 3)))

    @property
    def of_frames(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(U,) frames and (2,U) their evidence: chunks of the same frame together."""
        frames, summed = self._by_frame(self.of_chunks.T)
        return frames, summed.T

    @property
    def of_streams(self) -> NDArray[np.float64]:
        """(2,) share of each stream in the margin, its bias included."""
        return np.asarray(self.maps.sum((1, 2, 3)) + self.bias)

    @property
    def residual(self) -> float:
        """What the parts miss of the margin: rounding in float32."""
        return self.margin - float(self.of_streams.sum())

    def peak(self, stream: int) -> Peak:
        """Return the strongest place of stream 0 (appearance) or 1 (motion).

        Chunks of the same frame count together.
        """
        frames, maps = self._by_frame(self.maps[stream])
        moment, row, column = np.unravel_index(maps.argmax(), maps.shape)
        frame = int(frames[moment])
        return Peak(
            frame=frame,
            time=float(self.video.times[frame]),
            x=float(self.columns[column]),
            y=float(self.rows[row]),
            evidence=float(maps.max()),
        )

    def _by_frame(
        self, of_chunks: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(T,...) -> the different frames (U,), and the sums of their chunks (U,...)."""
        frames, first = np.unique(self.centres, return_index=True)
        return frames, np.add.reduceat(of_chunks, first, axis=0)

    def as_dict(self) -> dict[str, Any]:
        """Return every number as plain values for JSON, times in seconds."""
        times = self.video.times
        ends = [*times, times[0] + self.video.duration]
        return {
            "source": self.source,
            "label": self.label,
            "device": self.device,
            "warnings": list(self.video.warnings),
            "duration": _short(self.video.duration),
            "scores": [
                {"label": name, "score": fused, "appearance": appearance, "motion": motion}
                for name, fused, appearance, motion in zip(
                    self.class_names,
                    *(
                        _short(softmax(each))
                        for each in (self.scores.fused, self.scores.appearance, self.scores.motion)
                    ),
                    strict=True,
                )
            ],
            "margin": _short(self.margin),
            "streams": _by_stream(self.of_streams),
            "bias": _by_stream(self.bias),
            "residual": _short(self.residual),
            "peaks": {name: vars(self.peak(stream)) for stream, name in enumerate(STREAMS)},
            "chunks": [
                {"frame": int(frame), "time": _short(times[frame]), **_by_stream(parts)}
                for frame, parts in zip(self.centres, self.of_chunks.T, strict=True)
            ],
            "hidden": [
                {"start": _short(ends[first]), "end": _short(ends[last]), **_by_stream(loss)}
                for first, last, loss in zip(
                    self.edges[:-1], self.edges[1:], self.losses.T, strict=True
                )
            ],
            "maps": {
                "rows": _short(self.rows),
                "columns": _short(self.columns),
                **_by_stream(self.maps),
            },
        }


def _by_stream(values: NDArray[np.float64]) -> dict[str, Any]:
    return {name: _short(part) for name, part in zip(STREAMS, values, strict=True)}


def _short(values: Any) -> Any:
    """Numbers, or arrays as nested lists, of a few significant digits."""
    array = np.asarray(values, np.float64)
    if array.ndim:
        return [_short(part) for part in array]
    return float(f"{array:.{DIGITS}g}")
