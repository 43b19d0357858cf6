"""Kept-out recordings scored, and their timelines measured against those that people marked."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.preparation import prepared_like, require_same_preparation
from stresnet.data.splits.annotated import Recordings
from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.index import place_of
from stresnet.data.store.location import default_store
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, StoreError
from stresnet.evaluation.bootstrap import Estimate
from stresnet.evaluation.models import find_models
from stresnet.evaluation.protocols import Protocol
from stresnet.evaluation.scoring import require_known
from stresnet.model import STResNet
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import Timeline, TimelineSettings
from stresnet.progress import OnProgress, silent
from stresnet.timelines.measures import Judged, Span, measure

FITTED, DEFAULTS = "as fitted in training", "defaults, not fitted"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TimelineEvaluation:
    """The timelines of kept-out recordings, and how good they are.

    Attributes:
        data, model: what they are called.
        class_names: of the model.
        rows: for each way to make timelines, its settings and measures; the model's own first.
        judged: found and true timelines, made with the model's own settings.
        scored: the same recordings with the scores of their windows.
        failures: name -> reason of recordings that could not be scored.
    """

    data: str
    model: str
    class_names: tuple[str, ...]
    rows: Mapping[str, tuple[TimelineSettings, Mapping[str, Estimate]]]
    judged: tuple[Judged, ...]
    scored: tuple[ScoredRecording, ...]
    failures: Mapping[str, str]
    protocol: str
    device: str
    precision: str
    warnings: tuple[str, ...] = ()


def evaluate_timelines(
    model: STResNet | str | Path,
    data: str | Path,
    *,
    fold: int | None = None,
    seed: int = 0,
    background: str | None = None,
    overlap: str | None = None,
    store: str | Path | None = None,
    protocol: Protocol | str = "quick",
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> TimelineEvaluation:
    """Judge a model's timelines of the test recordings.

    Args:
        model: a network with class names, or what `load_model` takes; for a run's folder, its last
            network.
        data: a CSV list with start and end, or annotated recordings; as in training.
        fold, seed, overlap: as in training.
        background: class whose segments are not reported; None: the model's own, if it has one.
        store: folder of prepared videos; what is missing is prepared. None: the data's own.
        protocol: what the network sees of a window: a `Protocol`, or its name.
        device, precision: see `stresnet.device`.
        workers: processes that prepare videos; None is one for each processor core.

    Raises:
        DatasetError: the data cannot be used, or no recording can be scored.
        WeightsError, UsageError, EnvironmentProblem: as in `evaluate`.
    """
    data = Path(data)
    models = find_models(model, [fold])
    label = models.labels[-1]
    net = models.load(label, fold, device)
    recogniser = Recogniser(net, device=device, precision=precision, protocol=protocol)
    settings = recogniser.settings({"background": background} if background else {})
    split = open_dataset(
        data, fold=fold, seed=seed, recordings=Recordings(overlap=overlap or "error")
    )
    if not any(item.span for item in split.test):
        raise DatasetError(
            f"{data}: holds no annotated recording for testing",
            remedy="add recordings, or put some into a folder test; `stresnet evaluate` takes "
            "clips, too",
        )
    require_known({item.label for item in split.test}, net, str(data))
    recordings = list({item.name: item for item in split.test}.values())
    if warning := models.warning(label, fold, recordings):
        logger.warning(warning)
    preparing = prepared_like(net.preparation, model=label)
    store = default_store(data, **preparing) if store is None else Path(store)
    videos = ensure_prepared(
        recordings, store, **preparing, workers=workers, device=device, on_progress=on_progress
    )
    require_same_preparation(
        net.preparation, (stored for _, stored in videos.usable()), model=label
    )
    failures = dict(videos.failures)
    scored = score_recordings(
        recogniser, split.test, store, settings, failures=failures, on_progress=on_progress
    )
    if not scored:
        raise DatasetError(f"{data}: no test recording could be scored: {failures}")
    judged = tuple(each.judged(settings) for each in scored)
    rows = {FITTED if net.timeline else DEFAULTS: (settings, measure(judged))}
    if net.timeline:
        plain = TimelineSettings(background=settings.background)
        rows[DEFAULTS] = (plain, measure([each.judged(plain) for each in scored]))
    return TimelineEvaluation(
        data=data.resolve().name,
        model=label,
        class_names=recogniser.class_names,
        rows=rows,
        judged=judged,
        scored=tuple(scored),
        failures=failures,
        protocol=recogniser.protocol.name,
        device=recogniser.device,
        precision=recogniser.precision,
        warnings=(warning,) if warning else (),
    )


@dataclass(frozen=True)
class ScoredRecording:
    """One recording: what the network saw in its windows, and what people marked.

    Attributes:
        name: as the split calls it.
        truth: in order; without the background.
        source: what the recording was cut from, or itself.
    """

    name: str
    timeline: Timeline
    truth: tuple[Span, ...]
    source: str
    stored: StoredVideo

    def judged(self, settings: TimelineSettings) -> Judged:
        """Return the found timeline, made with these settings, beside the true one."""
        found = replace(self.timeline, settings=settings).segments
        spans = tuple(Span(each.start, each.end, each.label, each.score) for each in found)
        return Judged(self.name, self.truth, spans, self.timeline.duration, self.source)


def score_recordings(
    recogniser: Recogniser,
    items: Sequence[VideoItem],
    store: Path,
    settings: TimelineSettings,
    *,
    failures: dict[str, str],
    seconds: float = math.inf,
    on_progress: OnProgress = silent,
) -> list[ScoredRecording]:
    """Score the recordings that the items are segments of, one after the other.

    Args:
        items: in the order of their names, as a split has them.
        store: of the prepared recordings.
        settings: only `window` and `stride` matter here; the others can be changed afterwards.
        failures: gets the name and reason of each damaged recording; those already in it are left
            out.
        seconds: how much of each recording to score, from its first labelled segment on; what comes
            before that is scored, too.
        on_progress: called with seconds of each recording.
    """
    scored = []
    for name, of_name in groupby(items, key=lambda item: item.name):
        segments = list(of_name)
        if name in failures:
            continue
        stored = StoredVideo(place_of(store, name))
        try:
            truth = sorted(
                (Span(*(each.span or (0.0, stored.duration)), each.label) for each in segments),
                key=lambda span: span.start,
            )
            until = truth[0].start + seconds
            found = recogniser.timeline_of_store(
                stored, name, settings, until=until, on_progress=on_progress
            )
        except StoreError as error:
            failures[name] = str(error)
            continue
        labelled = tuple(
            replace(span, end=min(span.end, until))
            for span in truth
            if span.label != settings.background and span.start < until
        )
        scored.append(ScoredRecording(name, found, labelled, segments[0].source_key, stored))
    return scored
