"""A long video -> what happens when: overlapping windows, scored and joined in time.

Decoding and flow of the next window run in a thread while the network sees the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.decode import frames_of_array, iter_frames
from stresnet.data.video.probe import probe
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.metrics import softmax
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.model import STResNet, load_model
from stresnet.prediction.ranking import ClassScore, ranked
from stresnet.prediction.segments import Segment, best_labelling, borders_between, smoothed
from stresnet.prediction.windows import Window, windows_of_frames, windows_of_store
from stresnet.prefetch import prefetch

MAX_FRAMES = 5_000_000  # of one file, two days; a forged file must come to an end

OnProgress = Callable[[float, float], None]  # seconds done, seconds in all or 0 if unknown
Source = str | Path | NDArray[np.uint8] | StoredVideo


def unheard(done: float, total: float) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class TimelineSettings:
    """How a long video is cut, and its scores are joined; all durations in seconds.

    Attributes:
        window: length of what the network sees at a time.
        stride: from one window's start to the next one's.
        smooth: scores are averaged over this long.
        min_duration: no segment is shorter; by default a window, which resolves nothing finer.
        background: a class whose segments are not reported.

    Raises:
        UsageError: a duration makes no sense.
    """

    window: float = 2.0
    stride: float = 0.5
    smooth: float = 1.0
    min_duration: float = 2.0
    background: str | None = None

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            if not 0.05 <= getattr(self, name) <= 3600:
                raise UsageError(f"{name} is {getattr(self, name)} s, expected 0.05 to 3600")
        for name in ("smooth", "min_duration"):
            if not 0 <= getattr(self, name) <= 3600:
                raise UsageError(f"{name} is {getattr(self, name)} s, expected 0 to 3600")


DEFAULT_SETTINGS = TimelineSettings()


@dataclass(frozen=True, eq=False)
class Timeline:
    """What happens when in one video of `duration` seconds.

    Attributes:
        source: the video's path, or "array".
        class_names: (K,) of the model.
        starts, ends: (W,) of the windows, seconds.
        appearance, motion: (W,K) unnormalised scores of each stream.
        warnings: what was odd about the video.
    """

    source: str
    class_names: tuple[str, ...]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    appearance: NDArray[np.float32]
    motion: NDArray[np.float32]
    duration: float
    warnings: tuple[str, ...]
    settings: TimelineSettings

    @property
    def times(self) -> NDArray[np.float64]:
        """(W,) the windows' centres, seconds."""
        return (self.starts + self.ends) / 2

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(W,K) softmax in [0, 1] of the smoothed scores of both streams."""
        return softmax(self._smoothed)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """In order; without those of the background class."""
        borders = borders_between(self.times, float(self.starts[0]), float(self.ends[-1]))
        labelling = best_labelling(self._smoothed, borders, self.settings.min_duration)
        columns = self.scores, softmax(self.appearance), softmax(self.motion)
        return tuple(
            Segment(
                float(borders[first]),
                float(borders[after]),
                self.class_names[k],
                *(float(column[first:after, k].mean()) for column in columns),
            )
            for first, after, k in labelling
            if self.class_names[k] != self.settings.background
        )

    @property
    def predictions(self) -> tuple[ClassScore, ...]:
        """All classes, best first, by the mean of all windows' scores."""
        return ranked(self.class_names, VideoScores(self.appearance.mean(0), self.motion.mean(0)))

    @property
    def label(self) -> str:
        """The best class of the whole video."""
        return self.predictions[0].label

    def as_dict(self, *, top_k: int = 5, windows: bool = False) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            top_k: classes of the whole video to name.
            windows: also each window's centre and the score of every class there.
        """
        told: dict[str, Any] = {
            "source": self.source,
            "duration": self.duration,
            "predictions": [asdict(entry) for entry in self.predictions[:top_k]],
            "segments": [asdict(segment) for segment in self.segments],
            "warnings": list(self.warnings),
            "settings": asdict(self.settings),
        }
        if windows:
            columns = zip(self.class_names, self.scores.T.round(4).tolist(), strict=True)
            told["windows"] = {"times": self.times.tolist(), "scores": dict(columns)}
        return told

    @cached_property
    def _smoothed(self) -> NDArray[np.float64]:
        fused = (self.appearance + self.motion) / np.float32(2)
        return smoothed(fused, self.times, self.settings.smooth)


def timeline(
    model: STResNet | str | Path,
    source: Source,
    settings: TimelineSettings = DEFAULT_SETTINGS,
    *,
    fps: float = 25.0,
    threads: int = 1,
    flow: TVL1Parameters = AUTHORS,
    protocol: Protocol = PAPER,
    device: str = "auto",
    precision: str = "auto",
    on_progress: OnProgress = unheard,
) -> Timeline:
    """Recognise what happens when, in memory that does not grow with the video.

    Each window is scored as `predict` would score it if it were cut out.

    Args:
        model: a network, or what `load_model` takes: a folder that `save_pretrained` wrote.
        source: a video file, its frames (N, H, W, 3) uint8 RGB, or a prepared video.
        fps: frames a second of an array of frames.
        threads: CPU threads for the optical flow.
        flow: how the optical flow is computed, unless the video is prepared.
        protocol: what the network sees of each window.
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        on_progress: called after each window with the seconds done and the seconds that the file
            announces (0: it does not tell). An error that it raises ends the work.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: an argument makes no sense.
        WeightsError: the model's folder cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device=device)
    net.require_class_names()
    if settings.background is not None and settings.background not in net.class_names:
        raise UsageError(
            f"background {settings.background!r} is no class of the model",
            remedy=f"choose from {', '.join(net.class_names)}",
        )
    warnings: list[str] = []
    windows = _windows(source, settings, fps, threads, flow, warnings)
    total = _announced_seconds(source, fps)
    spans, scores = [], []
    with prefetch(windows) as in_time:
        for window in in_time:
            spans.append((window.start, window.end))
            scores.append(score_video(net, window.video, protocol=protocol, precision=precision))
            on_progress(window.end, max(total, window.end) if total else 0.0)
    starts, ends = np.array(spans).T
    return Timeline(
        source=_name(source),
        class_names=tuple(net.class_names),
        starts=starts,
        ends=ends,
        appearance=np.stack([each.appearance for each in scores]),
        motion=np.stack([each.motion for each in scores]),
        duration=float(ends[-1]),
        warnings=tuple(warnings),
        settings=settings,
    )


def _windows(
    source: Source,
    settings: TimelineSettings,
    fps: float,
    threads: int,
    flow: TVL1Parameters,
    warnings: list[str],
) -> Iterator[Window]:
    length, stride = settings.window, settings.stride
    if isinstance(source, StoredVideo):
        warnings.extend(source.warnings)
        return windows_of_store(source, length=length, stride=stride)
    if isinstance(source, np.ndarray):
        frames = frames_of_array(source, fps=fps)
    else:
        frames = iter_frames(Path(source), max_frames=MAX_FRAMES, on_warning=warnings.append)
    return windows_of_frames(frames, length=length, stride=stride, flow=flow, threads=threads)


def _announced_seconds(source: Source, fps: float) -> float:
    if isinstance(source, StoredVideo):
        return source.duration
    if isinstance(source, np.ndarray):
        return len(source) / fps
    return probe(Path(source)).seconds


def _name(source: Source) -> str:
    if isinstance(source, StoredVideo):
        return source.index.source.name
    return "array" if isinstance(source, np.ndarray) else str(source)
