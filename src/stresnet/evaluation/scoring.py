"""Score every video of a list: prepared video -> `score_video` -> one row of each scores array."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.splits.split import VideoItem, in_short
from stresnet.data.store.reader import StoredVideo
from stresnet.device import resolve_precision
from stresnet.errors import DatasetError, StoreError
from stresnet.evaluation.comparison import ROWS, EvaluationResult
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.evaluation.score_cache import ScoreCache, Scored, fingerprint
from stresnet.model import STResNet
from stresnet.progress import OnProgress, Progress, silent


def score_videos(
    net: STResNet,
    videos: PreparedVideos,
    *,
    protocol: Protocol = PAPER,
    precision: str = "auto",
    cache: Path | None = None,
    on_progress: OnProgress = silent,
) -> EvaluationResult:
    """Score prepared videos whose labels the network knows.

    Args:
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        cache: an .npz that keeps the scores of finished videos; a later call reuses them.
        on_progress: called after each video.

    Raises:
        DatasetError: not one video could be scored.
        EnvironmentProblem: the disk is full, or the device ran out of memory.
    """
    precision = resolve_precision(precision, net.device)
    known = ScoreCache(cache, fingerprint(net, protocol, precision=precision), net.class_names)
    failures = dict(videos.failures)
    scored: list[Scored] = []
    sources: list[str] = []
    try:
        for item, stored in videos.usable():
            try:
                found = _score(net, item, stored, known, protocol, precision)
            except StoreError as error:
                failures[item.name] = str(error)
                continue
            scored.append(found)
            sources.append(item.source_key)
            on_progress(Progress(len(scored), len(videos.items) - len(failures), item.name))
    except BaseException:
        known.write()
        raise
    known.write(scored)
    if not scored:
        reasons = in_short([f"{name}: {reason}" for name, reason in failures.items()], "; ")
        raise DatasetError(f"none of the {len(videos.items)} videos could be scored: {reasons}")
    return EvaluationResult(
        class_names=net.class_names,
        names=tuple(video.name for video in scored),
        truth=np.array([video.label for video in scored], dtype=np.int64),
        scores={row: np.stack([getattr(video.scores, row) for video in scored]) for row in ROWS},
        failures=failures,
        sources=tuple(sources),
        seconds=np.array([video.seconds for video in scored]),
        device=net.device.type,
        precision=precision,
    )


def _score(
    net: STResNet,
    item: VideoItem,
    stored: StoredVideo,
    known: ScoreCache,
    protocol: Protocol,
    precision: str,
) -> Scored:
    label, seal = net.class_names.index(item.label), stored.seal
    if found := known.get(item.name, seal):
        return replace(found, label=label)  # which may have been corrected since
    began = time.perf_counter()
    scores = score_video(net, stored, precision=precision, protocol=protocol)
    found = Scored(item.name, label, seal, time.perf_counter() - began, scores)
    known.add(found)
    return found


def require_known(labels: Iterable[str], net: STResNet, data: str) -> None:
    """Raise `DatasetError`, naming them, if there are labels that the network does not know."""
    if unknown := sorted(set(labels) - set(net.require_class_names())):
        raise DatasetError(
            f"{data}: has the classes {', '.join(unknown)}; "
            f"the model knows {', '.join(net.class_names)}",
            remedy="evaluate on the classes that the model was trained on",
        )
