"""Annotated recordings -> the scores of their windows, beside their true timelines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stresnet.data.splits.split import VideoItem
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError
from stresnet.evaluation.timelines import Recording, Span
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import Timeline, TimelineSettings
from stresnet.progress import OnProgress, silent


@dataclass(frozen=True)
class Scored:
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

    def judged(self, settings: TimelineSettings) -> Recording:
        """Return the found timeline, made with these settings, beside the true one."""
        found = replace(self.timeline, settings=settings).segments
        spans = tuple(Span(each.start, each.end, each.label, each.score) for each in found)
        return Recording(self.name, self.truth, spans, self.timeline.duration, self.source)


def score_recordings(
    recogniser: Recogniser,
    items: Sequence[VideoItem],
    store: Path,
    settings: TimelineSettings,
    *,
    failures: dict[str, str],
    on_progress: OnProgress = silent,
) -> list[Scored]:
    """Score the recordings that the items are segments of, one after the other.

    Args:
        store: of the prepared recordings.
        settings: `window` and `stride` count here; the others can be changed afterwards.
        failures: takes the name and the reason of a recording that is damaged; what is in it
            already is left out.
        on_progress: called with seconds of each recording.
    """
    scored = []
    for name, segments in _by_recording(items).items():
        if name in failures:
            continue
        stored = StoredVideo(store_path(store, name))
        try:
            found = recogniser.timeline_of_store(stored, name, settings, on_progress=on_progress)
        except StoreError as error:
            failures[name] = str(error)
            continue
        truth = sorted(
            (Span(*(each.span or (0.0, stored.duration)), each.label) for each in segments),
            key=lambda span: span.start,
        )
        labelled = tuple(span for span in truth if span.label != settings.background)
        scored.append(Scored(name, found, labelled, segments[0].source_key, stored))
    return scored


def _by_recording(items: Iterable[VideoItem]) -> dict[str, list[VideoItem]]:
    found: dict[str, list[VideoItem]] = {}
    for item in items:
        found.setdefault(item.name, []).append(item)
    return found
