"""A network that is ready to recognise: prepared video or windows -> Prediction or Timeline."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from stresnet.data.loading.chunks import FramesAndFlow
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.store.reader import StoredVideo
from stresnet.device import resolve_device, resolve_precision
from stresnet.errors import UsageError, WeightsError
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.protocols import Protocol, protocol_of
from stresnet.model import STResNet, load_model
from stresnet.prediction.result import Prediction, Timeline, TimelineSettings, ranked
from stresnet.prediction.windows import Window, windows_of_store
from stresnet.prefetch import prefetch
from stresnet.progress import OnProgress, Progress, silent


class Recogniser:
    """A network, the device it runs on, and what it sees of a video.

    Args:
        model: a network, or what `load_model` takes. A network on another device is copied there.
        device: "auto" (where a given network is; else the first GPU, or the CPU), "cpu", "cuda",
            "cuda:N".
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        protocol: what the network sees of a video or a window: one of
            `stresnet.evaluation.protocols`, or its name. Settings of timelines are fitted with
            `quick`.

    Attributes:
        class_names: (K,) of the network.
        flow, short_side: how videos are prepared for it.
        device, precision: those in use ("cpu", "fp32").
        protocol: what the network sees of a video or a window.

    Raises:
        WeightsError: the model cannot be used.
        UsageError: the network has no class names, or there is no such precision or protocol.
        EnvironmentProblem: this machine has no such device.
    """

    def __init__(
        self,
        model: STResNet | str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        protocol: Protocol | str = "quick",
    ) -> None:
        self.net = network_on(model, device)
        self.net.require_class_names()
        self.class_names = tuple(self.net.class_names)
        self.flow = flow_parameters(self.net.preparation)
        self.short_side = short_side(self.net.preparation)
        self.device = str(self.net.device)
        self.precision = resolve_precision(precision, self.net.device)
        self.protocol = protocol_of(protocol)

    def settings(
        self, asked: TimelineSettings | Mapping[str, Any] | None = None
    ) -> TimelineSettings:
        """Return how timelines are made: as fitted with the model, else the defaults.

        Args:
            asked: settings to use instead, or single fields to change.

        Raises:
            UsageError: a value makes no sense, or the background is not a class of the model.
            WeightsError: what the model records is not a set of settings.
        """
        if not isinstance(asked, TimelineSettings):
            try:
                fitted = TimelineSettings(**self.net.timeline)
            except (TypeError, UsageError) as error:
                raise WeightsError(
                    f"the model's config.json has no usable settings of timelines ({error})",
                    remedy="fetch the model again",
                ) from error
            asked = replace(fitted, **(asked or {}))
        self.require_class(asked.background)
        return asked

    def scores(self, video: FramesAndFlow) -> VideoScores:
        """Score a video or a window."""
        return score_video(self.net, video, precision=self.precision, protocol=self.protocol)

    def ranking(self, stored: StoredVideo, name: str, top_k: int | None = None) -> Prediction:
        """Rank the classes of a whole video, called `name` in the result."""
        scores = self.scores(stored)
        return Prediction(
            source=name,
            predictions=ranked(self.class_names, scores.appearance, scores.motion, top_k),
            duration=stored.duration,
            warnings=stored.warnings,
            device=self.device,
            precision=self.precision,
            start=float(stored.times[0]),
        )

    def timeline(
        self,
        windows: Iterable[Window],
        name: str,
        settings: TimelineSettings,
        *,
        seconds: float = 0.0,
        warnings: Sequence[str] = (),
        on_progress: OnProgress = silent,
    ) -> Timeline:
        """Score the windows of a video one after the other; the next one is made meanwhile.

        Args:
            seconds: the video's length if it is known, for `on_progress`.
            warnings: about the video; read after the last window.
        """
        self.require_class(settings.background)
        spans, scores = [], []
        with prefetch(windows) as prefetched:
            for window in prefetched:
                spans.append((window.start, window.end))
                scores.append(self.scores(window.video))
                total = max(seconds, window.end) if seconds else None
                on_progress(Progress(window.end, total, name))
        starts, ends = np.array(spans).T
        return Timeline(
            source=name,
            class_names=self.class_names,
            starts=starts,
            ends=ends,
            appearance=np.stack([each.appearance for each in scores]),
            motion=np.stack([each.motion for each in scores]),
            duration=float(ends[-1]),
            warnings=tuple(warnings),
            settings=settings,
            device=self.device,
            precision=self.precision,
        )

    def timeline_of_store(
        self,
        stored: StoredVideo,
        name: str,
        settings: TimelineSettings,
        *,
        until: float = math.inf,
        on_progress: OnProgress = silent,
    ) -> Timeline:
        """`timeline` of a video that is prepared already, or of its part up to `until` seconds.

        Raises:
            StoreError: the store is damaged.
        """
        windows = windows_of_store(stored, length=settings.window, stride=settings.stride)
        return self.timeline(
            takewhile(lambda window: window.end <= until, windows),
            name,
            settings,
            seconds=min(stored.duration, until),
            warnings=stored.warnings,
            on_progress=on_progress,
        )

    def require_class(self, label: str | None) -> None:
        """Raise `UsageError` if the network has no class of that name; None is always fine."""
        if label is not None and label not in self.class_names:
            raise UsageError(
                f"background {label!r} is not a class of the model",
                remedy=f"choose from {', '.join(self.class_names)}",
            )


def network_on(model: STResNet | str | Path, device: str = "auto") -> STResNet:
    """Return a network on a device; a given one is left where it is, and copied if need be."""
    if not isinstance(model, STResNet):
        return load_model(model, device=device)
    if device == "auto" or resolve_device(device) == model.device:
        return model
    return copy.deepcopy(model).to(resolve_device(device))
