"""Why a network gives a video a class: one call, and what it finds.

video -> frames and flow -> evidence (where, when, which stream)   -> Explanation
                         -> occlusion (what would be missed)
"""

from __future__ import annotations

import typing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.chunks import FramesAndFlow
from stresnet.data.loading.sampling import testing_centres
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.protocols import Protocol, protocol_of
from stresnet.explanation.class_activation_map import cell_centres, class_index, evidence, margin_of
from stresnet.explanation.occlusion import interval_edges, losses
from stresnet.model import STResNet
from stresnet.prediction.encoded_frames import EncodedVideo, encode_frames
from stresnet.prediction.input_video import Video, frames_of, name_of
from stresnet.prediction.recognise import Model
from stresnet.prediction.recogniser import network_on


class TimedVideo(FramesAndFlow, typing.Protocol):
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
        device: where the network ran.
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
        """How far the parts miss the margin: rounding in float32."""
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


def explain(
    model: Model,
    video: Video,
    *,
    label: str | None = None,
    intervals: int = 10,
    fps: float = 25.0,
    protocol: Protocol | str = "quick",
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Explanation:
    """Say why a network gives a video a class.

    Frames and flow are prepared as the model's training videos were, and stay in memory as JPEGs;
    those of a prepared video stay where they are.

    Args:
        model: a network, or what `load_model` takes.
        video: a video file; its frames, (N, H, W, 3) uint8 RGB or as `predict` takes them; or a
            prepared video.
        label: the class to explain; None: the one that the network recognises.
        intervals: of occlusion in time; each costs a look at the video without its mirror image,
            and 0 leaves it out.
        fps: frames per second, if frames are given.
        protocol: what the network sees: "quick", 8 chunks, as in `predict`; or "paper", 25 and
            their mirror images, as in `evaluate`.
        threads: CPU threads for the optical flow; None is one for each core.
        device: see `stresnet.device`. A network that is on another device is copied.
        precision: of occlusion. The evidence is always computed in float32, so that its parts add
            up to the score.

    Raises:
        VideoError: the file cannot be decoded.
        StoreError: the prepared video is damaged.
        UsageError: there is no such class, or an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    net = network_on(model, device)
    if intervals < 0:
        raise UsageError(f"{intervals} intervals, expected 0 or more")
    protocol = protocol_of(protocol)
    if protocol.crops != "whole" or protocol.as_released:
        raise UsageError(
            f"protocol {protocol.name!r} cannot be explained", remedy="choose from: quick, paper"
        )
    net.require_class_names()
    asked = None if label is None else class_index(net, label)
    seen = _prepared(net, video, fps, threads)

    scores = score_video(net, seen, protocol=protocol, precision="fp32")
    index = int(scores.fused.argmax()) if asked is None else asked
    bias, maps = evidence(net, seen, index, protocol)
    rows, columns = cell_centres(net, seen.height, seen.width)
    edges = interval_edges(seen.num_frames, intervals)
    return Explanation(
        source=name_of(video),
        label=net.class_names[index],
        class_names=net.class_names,
        scores=scores,
        margin=margin_of(scores, index),
        bias=bias,
        maps=maps,
        centres=testing_centres(seen.num_frames, maps.shape[1]),
        rows=rows,
        columns=columns,
        edges=edges,
        losses=losses(net, seen, index, edges, protocol, precision=precision),
        device=str(net.device),
        video=seen,
    )


def _prepared(net: STResNet, video: Video, fps: float, threads: int | None) -> TimedVideo:
    """A video's frames and flow as the network is to see them."""
    if isinstance(video, StoredVideo):
        return video
    warnings: list[str] = []
    frames = frames_of(video, fps, short_side(net.preparation), warnings)
    flow = flow_parameters(net.preparation)
    encoded = encode_frames(frames, flow=flow, threads=threads, device=str(net.device))
    return EncodedVideo(list(encoded), warnings)
