"""Score every video of a list: prepared video -> `score_video` -> one row of each scores array.

    NAME.npz               an evaluation's score file (see score_files.py), written at the end
    NAME.part-00000.npz    what each half minute added, until then

Both have three more arrays, so that scoring resumes if interrupted: how long each video took, the
seal of each prepared video, and the fingerprint of everything else that the scores depend on. A
video with another seal or fingerprint is scored again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from glob import escape
from pathlib import Path

import numpy as np
import torch

from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.store.reader import StoredVideo
from stresnet.device import resolve_precision
from stresnet.errors import DatasetError, EnvironmentProblem, StoreError, StresnetError, in_short
from stresnet.evaluation.comparison import ROWS, EvaluationResult
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.evaluation.score_files import save_arrays
from stresnet.files import DAMAGE
from stresnet.jobs import Engine, saving
from stresnet.model import STResNet, load_model
from stresnet.progress import OnProgress, Progress, silent

CACHE_FORMAT = 3
SAVE_SECONDS = 30.0  # between two parts: what a kill can cost


def score_videos(
    net: STResNet,
    videos: PreparedVideos,
    *,
    protocol: Protocol = PAPER,
    precision: str = "auto",
    cache: Path | None = None,
    engine: Engine | None = None,
    model: str = "",
    on_progress: OnProgress = silent,
) -> EvaluationResult:
    """Score prepared videos whose labels the network knows.

    Args:
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).
        cache: an .npz that keeps the scores of finished videos; a later call reuses them.
        engine: what scores the videos, one at a time in each of its processes; None: this process.
        model: what the engine's processes load: `net`, as `load_model` takes it.
        on_progress: called after each video.

    Raises:
        DatasetError: no video could be scored.
        EnvironmentProblem: the disk is full, or the device ran out of memory.
    """
    precision = resolve_precision(precision, net.device)
    identity = fingerprint(net, protocol, precision=precision)
    known = {} if cache is None else scored_before(cache, identity)
    failures = dict(videos.failures)
    labels = {item.name: net.class_names.index(item.label) for item in videos.items}
    seals: dict[str, str] = {}
    found: dict[str, ScoredVideo] = {}
    to_do: dict[str, StoredVideo] = {}
    for item, stored in videos.usable():
        try:
            seals[item.name] = stored.seal
        except StoreError as error:
            failures[item.name] = str(error)
            continue
        kept = known.get(item.name)
        if kept is not None and kept.seal == seals[item.name]:
            # Its label may have been corrected since.
            found[item.name] = replace(kept, label=labels[item.name])
        else:
            to_do[item.name] = stored
    one = ScoreOne(model, net.device.type, precision, protocol)
    outcomes = _here(one, net, to_do) if engine is None else engine(one, to_do)
    fresh: list[ScoredVideo] = []

    def save() -> None:
        if cache is not None and fresh:
            save_scored(next_part(cache), identity, net.class_names, fresh)
            fresh.clear()

    with closing(saving(outcomes, save, SAVE_SECONDS)) as outcomes:
        for name, outcome in outcomes:
            if isinstance(outcome, EnvironmentProblem):
                raise outcome
            if isinstance(outcome, StresnetError):
                failures[name] = str(outcome)
                continue
            scores, seconds = outcome
            found[name] = ScoredVideo(name, labels[name], seals[name], seconds, scores)
            fresh.append(found[name])
            on_progress(Progress(len(found), len(videos.items) - len(failures), name))
    items = [item for item in videos.items if item.name in found]
    scored = [found[item.name] for item in items]
    if cache is not None and scored:
        save_scored(cache, identity, net.class_names, scored)
        for part in parts_of(cache):
            part.unlink()
    if not scored:
        reasons = in_short([f"{name}: {reason}" for name, reason in failures.items()], "; ")
        raise DatasetError(f"none of the {len(videos.items)} videos could be scored: {reasons}")
    return EvaluationResult(
        class_names=net.class_names,
        names=tuple(video.name for video in scored),
        truth=np.array([video.label for video in scored], dtype=np.int64),
        scores={row: np.stack([getattr(video.scores, row) for video in scored]) for row in ROWS},
        failures=failures,
        sources=tuple(item.source_key for item in items),
        seconds=np.array([video.seconds for video in scored]),
        device=net.device.type,
        precision=precision,
    )


@dataclass(frozen=True)
class ScoreOne:
    """Scores one video in a worker process, which keeps the network for the next one."""

    model: str
    device: str
    precision: str
    protocol: Protocol

    def __call__(self, stored: StoredVideo) -> tuple[VideoScores, float]:
        """The scores, and the seconds they took."""
        return self.with_network(kept_model(self.model, self.device), stored)

    def with_network(self, net: STResNet, stored: StoredVideo) -> tuple[VideoScores, float]:
        """The same with a network in this process."""
        began = time.perf_counter()
        scores = score_video(net, stored, precision=self.precision, protocol=self.protocol)
        return scores, time.perf_counter() - began


@lru_cache(maxsize=1)
def kept_model(model: str, device: str) -> STResNet:
    """Load a model once per process."""
    return load_model(model, device=device)


def _here(
    one: ScoreOne, net: STResNet, jobs: Mapping[str, StoredVideo]
) -> Generator[tuple[str, tuple[VideoScores, float] | StresnetError], None, None]:
    """Like an engine, but in this process."""
    for name, stored in jobs.items():
        try:
            yield name, one.with_network(net, stored)
        except StoreError as error:
            yield name, error


def require_known(labels: Iterable[str], net: STResNet, data: str) -> None:
    """Raise `DatasetError`, naming them, if there are labels that the network does not know."""
    if unknown := sorted(set(labels) - set(net.require_class_names())):
        raise DatasetError(
            f"{data}: has the classes {', '.join(unknown)}; "
            f"the model knows {', '.join(net.class_names)}",
            remedy="evaluate on the classes that the model was trained on",
        )


@dataclass(frozen=True)
class ScoredVideo:
    """One scored video: its true class, the seal of its store, and the seconds it took."""

    name: str
    label: int
    seal: str
    seconds: float
    scores: VideoScores


def fingerprint(net: STResNet, protocol: Protocol, *, precision: str) -> str:
    """SHA-256 of everything that a video's scores depend on, except the video.

    Args:
        precision: a resolved one, not "auto".
    """
    settings = {
        "format": CACHE_FORMAT,
        "config": net.config,
        "class_names": net.class_names,
        "protocol": asdict(protocol),
        "precision": precision,
        "device": net.device.type,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save_scored(
    path: Path, fingerprint: str, class_names: Sequence[str], videos: Sequence[ScoredVideo]
) -> None:
    """Write the score file of an evaluation, with what `scored_before` needs.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    save_arrays(
        path,
        names=np.array([video.name for video in videos], dtype=np.str_),
        class_names=np.array(class_names, dtype=np.str_),
        truth=np.array([video.label for video in videos], dtype=np.int64),
        fused=np.stack([video.scores.fused for video in videos]),
        appearance=np.stack([video.scores.appearance for video in videos]),
        motion=np.stack([video.scores.motion for video in videos]),
        seconds=np.array([video.seconds for video in videos]),
        seals=np.array([video.seal for video in videos], dtype=np.str_),
        fingerprint=np.array(fingerprint),
    )


def parts_of(path: Path) -> list[Path]:
    """Return the parts that an interrupted run has left beside a score file, in order."""
    return sorted(path.parent.glob(f"{escape(path.stem)}.part-?????.npz"))


def next_part(path: Path) -> Path:
    """Return the path of the next part."""
    numbers = [int(part.stem[-5:]) for part in parts_of(path)]
    return path.with_suffix(f".part-{max(numbers, default=-1) + 1:05d}.npz")


def scored_before(path: Path, fingerprint: str) -> dict[str, ScoredVideo]:
    """Return, by name, the videos of this evaluation in a score file and its parts."""
    found: dict[str, ScoredVideo] = {}
    for file in (path, *parts_of(path)):
        found |= _scored_in(file, fingerprint)
    return found


def _scored_in(path: Path, fingerprint: str) -> dict[str, ScoredVideo]:
    """The same for one file; empty if it is damaged or missing."""
    names = ("names", "truth", "seals", "seconds", "appearance", "motion")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["fingerprint"]) != fingerprint:
                return {}
            rows = list(zip(*(file[name] for name in names), strict=True))
    except DAMAGE:
        return {}
    return {
        str(name): ScoredVideo(
            str(name), int(label), str(seal), float(seconds), VideoScores(appearance, motion)
        )
        for name, label, seal, seconds, appearance, motion in rows
    }
