"""Score every test video of a data set by the paper's protocol, or another.

data -> PreparedVideos -> score_videos -> EvaluationResult    (compare.py: many networks and folds)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from stresnet.data.prepare.ensure import PreparedVideos, ensure_prepared
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store
from stresnet.errors import DatasetError, StoreError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.evaluation.result import ROWS, EvaluationResult
from stresnet.evaluation.score_cache import ScoreCache, Scored, fingerprint
from stresnet.model import STResNet, load_model

SAY_EVERY = 20  # videos


def evaluate(
    model: STResNet | str | Path,
    data: str | Path,
    *,
    fold: int | None = None,
    lists: str | Path | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    protocol: Protocol = PAPER,
    precision: str = "auto",
    device: str = "auto",
    kept: Path | None = None,
    say: Callable[[str], None] = print,
) -> EvaluationResult:
    """Score the test videos of a data set with the paper's protocol.

    Args:
        model: a network with class names, or a model folder.
        data, fold, lists, seed: as in `open_dataset`; the split's test videos are scored. Where the
            test videos are drawn, the seed must be that of training.
        store: folder of prepared videos, filled as needed. None: see `default_store`.
        protocol: one of `stresnet.evaluation.protocols`.
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.
        kept: an .npz that keeps the scores of finished videos, to go on after a stop.
        say: receives one plain line at each step of the way.

    Raises:
        DatasetError: the data cannot be used, or has classes the model does not know.
        WeightsError: the model's folder cannot be used.
        UsageError, EnvironmentProblem: there is no such device or precision.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device=device)
    split = open_dataset(Path(data), fold=fold, lists=Path(lists) if lists else None, seed=seed)
    require_known({item.label for item in split.test}, net, str(data))
    videos = ensure_prepared(split.test, Path(store) if store else default_store(data))
    return score_videos(net, videos, protocol=protocol, precision=precision, kept=kept, say=say)


def require_known(labels: Iterable[str], net: STResNet, data: str) -> None:
    """Raise `DatasetError`, naming them, if there are labels the network does not know."""
    if unknown := sorted(set(labels) - set(net.class_names)):
        raise DatasetError(
            f"{data}: has the classes {', '.join(unknown)}; "
            f"the model knows {', '.join(net.class_names)}",
            remedy="evaluate on the classes that the model was trained on",
        )


def score_videos(
    net: STResNet,
    videos: PreparedVideos,
    *,
    protocol: Protocol = PAPER,
    precision: str = "auto",
    kept: Path | None = None,
    say: Callable[[str], None] = print,
) -> EvaluationResult:
    """Score prepared videos whose labels the network knows; arguments as of `evaluate`.

    Raises:
        DatasetError: not one video could be scored.
    """
    label_of = {name: index for index, name in enumerate(net.class_names)}
    file = ScoreCache(kept, fingerprint(net, protocol, precision=precision), net.class_names)
    failures = dict(videos.failures)
    scored: list[Scored] = []
    sources: list[str] = []
    work = _Work(len(videos.items) - len(failures), say)
    try:
        for item, stored in videos.usable():
            try:
                seal = stored.seal
                found = file.get(item.name, seal)
                label = label_of[item.label]
                if found is None:
                    began = time.perf_counter()
                    scores = score_video(net, stored, precision=precision, protocol=protocol)
                    seconds = time.perf_counter() - began
                    found = Scored(item.name, label, seal, seconds, scores)
                    file.add(found)
                    work.done(seconds)
                else:
                    found = replace(found, label=label)
                    work.done(None)
            except StoreError as error:
                failures[item.name] = str(error)
                continue
            scored.append(found)
            sources.append(item.source_key)
    except BaseException:
        file.write()
        raise
    file.write(scored)
    if not scored:
        raise DatasetError(f"none of the {len(videos.items)} test videos could be scored")
    return EvaluationResult(
        class_names=net.class_names,
        names=tuple(video.name for video in scored),
        truth=np.array([video.label for video in scored], dtype=np.int64),
        scores={row: np.stack([getattr(video.scores, row) for video in scored]) for row in ROWS},
        failures=failures,
        sources=tuple(sources),
        seconds=np.array([video.seconds for video in scored]),
    )


class _Work:
    """Says now and then how far it is and how long it will take."""

    def __init__(self, videos: int, say: Callable[[str], None]) -> None:
        self._videos, self._say = videos, say
        self._finished, self._scored, self._seconds = 0, 0, 0.0

    def done(self, seconds: float | None) -> None:
        """A video is done; None: it was done before."""
        self._finished += 1
        if seconds is None:
            return
        self._scored += 1
        self._seconds += seconds
        if self._scored % SAY_EVERY == 0:
            left = (self._videos - self._finished) * self._seconds / self._scored
            self._say(
                f"scored {self._finished} of {self._videos} videos, "
                f"ETA {timedelta(seconds=round(left))}"
            )
