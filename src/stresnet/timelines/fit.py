"""The settings that turn scores into timelines, fitted on annotated recordings.

Smoothing, minimum duration, and either the background's bias or, without such a class, the least
score of a segment: the combination with the best mean of F1@10, F1@25 and F1@50.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from stresnet.data.splits.split import VideoItem, name_hash
from stresnet.data.store.index import place_of
from stresnet.data.store.reader import StoredVideo
from stresnet.model.model_folder import write_timeline_settings
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import TimelineSettings
from stresnet.timelines.evaluate import ScoredRecording, score_recordings
from stresnet.timelines.measures import OVERLAPS, segment_counts

SMOOTH = (0.0, 1.0, 2.0, 3.0)  # seconds
MIN_DURATION = (0.0, 1.0, 2.0, 3.0, 4.0)  # seconds
BIAS = (-4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0)  # of unnormalised scores
THRESHOLD = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


logger = logging.getLogger(__name__)

FIT_SECONDS = 300.0  # of training recordings that are looked at: 600 windows


def fit_model(
    folder: Path,
    items: Sequence[VideoItem],
    store: Path,
    *,
    background: str | None,
    device: str = "auto",
    precision: str = "auto",
) -> float:
    """Fit a model's timeline settings on annotated recordings; record them in its folder.

    Windows are scored as in `predict`. Of many recordings, the first by the hashes of their names
    are taken, and of long ones the beginning: five minutes from the first labelled segment on.

    Args:
        folder: of the model.
        items: segments of the recordings; those of the background are left out.
        store: of the prepared recordings.

    Returns:
        The mean of F1@10, F1@25 and F1@50 on these recordings, with what was fitted.

    Raises:
        WeightsError, StoreError, EnvironmentProblem: as they say.
    """
    items = [item for item in items if item.span and item.label != background]
    recogniser = Recogniser(folder, device=device, precision=precision)
    names: set[str] = set()
    seconds = 0.0
    for name in sorted({item.name for item in items}, key=name_hash):
        if not names or seconds < FIT_SECONDS:
            names.add(name)
            seconds += min(StoredVideo(place_of(store, name)).duration, FIT_SECONDS)
    logger.info("timelines: being fitted on %d recordings, %.1f min", len(names), seconds / 60)
    plain = TimelineSettings(background=background)
    failures: dict[str, str] = {}
    scored = score_recordings(
        recogniser,
        [item for item in items if item.name in names],
        store,
        plain,
        failures=failures,
        seconds=FIT_SECONDS,
    )
    fitted = fit_settings(scored, plain) if scored else plain
    f1 = mean_f1(scored, fitted)
    logger.info(
        "timelines: F1 %.3f on these recordings, %.3f before fitting: smooth %g, min_duration %g, "
        "background_bias %g, threshold %g",
        f1, mean_f1(scored, plain), fitted.smooth, fitted.min_duration, fitted.background_bias,
        fitted.threshold,
    )  # fmt: skip
    write_timeline_settings(folder, asdict(fitted))
    return f1


def fit_settings(
    recordings: Sequence[ScoredRecording], settings: TimelineSettings
) -> TimelineSettings:
    """Return settings with the best mean F1; among equals, those nearest to `settings`."""
    return max(
        candidates(settings),
        key=lambda each: (round(mean_f1(recordings, each), 9), -_distance(each, settings)),
    )


def candidates(settings: TimelineSettings) -> Iterator[TimelineSettings]:
    """Yield every combination; window, stride and background stay."""
    key, values = "threshold", list(THRESHOLD)
    if settings.background is not None:
        key, values = "background_bias", list(BIAS)
    for smooth in SMOOTH:
        for shortest in MIN_DURATION:
            for value in values:
                changes: dict[str, Any] = {key: value}
                yield replace(settings, smooth=smooth, min_duration=shortest, **changes)


def mean_f1(recordings: Sequence[ScoredRecording], settings: TimelineSettings) -> float:
    """Return the mean of F1@10, F1@25 and F1@50 over the recordings."""
    judged = [each.judged(settings) for each in recordings]
    scores = []
    for overlap in OVERLAPS:
        counts = np.array([segment_counts(each.found, each.truth, overlap) for each in judged])
        right, wrong, missed = counts.reshape(-1, 3).sum(0)
        scores.append(2 * right / max(2 * right + wrong + missed, 1))
    return float(np.mean(scores))


def _distance(a: TimelineSettings, b: TimelineSettings) -> float:
    names = ("smooth", "min_duration", "background_bias", "threshold")
    return float(sum(abs(getattr(a, name) - getattr(b, name)) for name in names))
