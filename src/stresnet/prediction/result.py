"""What was recognised: ranked classes of a whole video, or a timeline of segments."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.errors import UsageError
from stresnet.evaluation.metrics import late_fusion, softmax
from stresnet.prediction.segments import Segment, best_labelling, borders_between, smoothed


@dataclass(frozen=True)
class ClassScore:
    """A class and its softmax scores in [0, 1].

    Attributes:
        score: of both streams together (their unnormalised scores averaged).
        appearance, motion: of each stream alone.
    """

    label: str
    score: float
    appearance: float
    motion: float


def ranked(
    class_names: Sequence[str],
    appearance: NDArray[np.float32],
    motion: NDArray[np.float32],
    top_k: int | None = None,
) -> tuple[ClassScore, ...]:
    """Return the best `top_k` classes by both streams together; all of them for None.

    Args:
        appearance, motion: (K,) unnormalised scores of each stream.
    """
    fused = late_fusion(appearance, motion)
    columns = [softmax(each) for each in (fused, appearance, motion)]
    best = np.argsort(-columns[0], kind="stable")[:top_k]
    return tuple(
        ClassScore(class_names[i], *(float(column[i]) for column in columns)) for i in best
    )


@dataclass(frozen=True)
class Prediction:
    """Ranked classes of one video, best first.

    Attributes:
        source: the video's path, or "array".
        duration: seconds.
        warnings: what was odd about the video ("truncated: 31 of 60 frames").
        device, precision: where and with which numbers the network ran ("cpu", "fp32").
        start: when the pictures begin, in seconds of the file.
    """

    source: str
    predictions: tuple[ClassScore, ...]
    duration: float
    warnings: tuple[str, ...]
    device: str = ""
    precision: str = ""
    start: float = 0.0

    @property
    def label(self) -> str:
        """The best class."""
        return self.predictions[0].label

    @property
    def score(self) -> float:
        """The best class's score of both streams, in [0, 1]."""
        return self.predictions[0].score

    def as_dict(self, *, top_k: int | None = None) -> dict[str, Any]:
        """Return plain values for JSON; `top_k` classes, or None for all that are ranked."""
        return asdict(replace(self, predictions=self.predictions[:top_k]))


@dataclass(frozen=True)
class TimelineSettings:
    """How a long video is cut and its scores are joined; all durations in seconds.

    Attributes:
        window: length of what the network sees at a time.
        stride: from one window's start to the next one's.
        smooth: scores are averaged over this long.
        min_duration: no segment is shorter; by default a window, which resolves nothing finer.
        background: a class whose segments are not reported.
        background_bias: added to the background's unnormalised score: above 0, less is reported.
        threshold: segments with a lower score are not reported.

    Raises:
        UsageError: a duration makes no sense.
    """

    window: float = 2.0
    stride: float = 0.5
    smooth: float = 1.0
    min_duration: float = 2.0
    background: str | None = None
    background_bias: float = 0.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            if not 0.05 <= getattr(self, name) <= 3600:
                raise UsageError(f"{name} is {getattr(self, name)} s, expected 0.05 to 3600")
        for name in ("smooth", "min_duration"):
            if not 0 <= getattr(self, name) <= 3600:
                raise UsageError(f"{name} is {getattr(self, name)} s, expected 0 to 3600")
        if not (0 <= self.threshold < 1 and abs(self.background_bias) <= 100):
            raise UsageError(
                f"threshold {self.threshold} and background_bias {self.background_bias}: expected "
                "0 to 1, and -100 to 100"
            )


@dataclass(frozen=True, eq=False)
class Timeline:
    """What happens when in one video of `duration` seconds.

    Attributes:
        source: the video's path, or "array".
        class_names: (K,) of the model.
        starts, ends: (W,) of the windows, seconds.
        appearance, motion: (W,K) unnormalised scores of each stream.
        warnings: what was odd about the video.
        device, precision: where and with which numbers the network ran ("cpu", "fp32").
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
    device: str = ""
    precision: str = ""

    @property
    def times(self) -> NDArray[np.float64]:
        """(W,) the windows' centres, seconds."""
        return (self.starts + self.ends) / 2

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(W,K) softmax in [0, 1] of the smoothed scores of both streams, with the bias."""
        return softmax(self._smoothed)

    @cached_property
    def of_streams(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Appearance and motion, (W,K) each: softmax in [0, 1] of each stream's smoothed scores."""
        seconds = self.settings.smooth
        return (
            softmax(smoothed(self.appearance, self.times, seconds)),
            softmax(smoothed(self.motion, self.times, seconds)),
        )

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segments in order, without those of the background class or below the threshold."""
        columns = self.scores, *self.of_streams
        found: list[Segment] = []
        for begin, end in itertools.pairwise([0, *self._after_gaps(), len(self.starts)]):
            borders = borders_between(
                self.times[begin:end], float(self.starts[begin]), float(self.ends[end - 1])
            )
            labelling = best_labelling(
                self._smoothed[begin:end], borders, self.settings.min_duration
            )
            found += (
                Segment(
                    float(borders[first]),
                    float(borders[after]),
                    self.class_names[k],
                    *(float(column[begin + first : begin + after, k].mean()) for column in columns),
                )
                for first, after, k in labelling
                if self.class_names[k] != self.settings.background
            )
        return tuple(each for each in found if each.score >= self.settings.threshold)

    def _after_gaps(self) -> list[int]:
        """Return the windows before which there is time without pictures; no segment covers it."""
        allowed = max(self.settings.stride - self.settings.window, 0.0) + 1e-6
        return (np.flatnonzero(self.starts[1:] - self.ends[:-1] > allowed) + 1).tolist()

    @property
    def predictions(self) -> tuple[ClassScore, ...]:
        """All classes, best first, by the mean of all windows' scores."""
        return ranked(self.class_names, self.appearance.mean(0), self.motion.mean(0))

    @property
    def label(self) -> str:
        """The best class of the whole video."""
        return self.predictions[0].label

    @property
    def score(self) -> float:
        """The score of the whole video's best class, in [0, 1]."""
        return self.predictions[0].score

    def as_dict(self, *, top_k: int = 5, windows: bool = False) -> dict[str, Any]:
        """Return plain values for JSON.

        Args:
            top_k: classes of the whole video to name.
            windows: also each window's centre and the score of every class there.
        """
        values: dict[str, Any] = {
            "source": self.source,
            "duration": self.duration,
            "predictions": [asdict(entry) for entry in self.predictions[:top_k]],
            "segments": [asdict(segment) for segment in self.segments],
            "warnings": list(self.warnings),
            "settings": asdict(self.settings),
            "device": self.device,
            "precision": self.precision,
        }
        if windows:
            columns = zip(self.class_names, self.scores.T.round(4).tolist(), strict=True)
            values["windows"] = {"times": self.times.tolist(), "scores": dict(columns)}
        return values

    @cached_property
    def _smoothed(self) -> NDArray[np.float64]:
        fused = late_fusion(self.appearance, self.motion)
        scores = smoothed(fused, self.times, self.settings.smooth)
        if self.settings.background is not None:
            background = self.class_names.index(self.settings.background)
            scores[:, background] += self.settings.background_bias
        return scores
