"""Why a video gets its class, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.dataset import FramesAndFlow
from stresnet.evaluation.fully_convolutional import VideoScores


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
