"""Scores of finished videos on disk, so that an interrupted evaluation resumes.

The file is the score file itself (see score_files.py) with three more arrays: how long each video
took, the seal of each prepared video, and the fingerprint of everything else that the scores depend
on. A video with another seal or fingerprint is scored again.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.protocols import Protocol
from stresnet.evaluation.score_files import save_arrays
from stresnet.model import STResNet

FORMAT = 3
SAVE_SECONDS = 30.0  # between two writes: what a kill can cost


@dataclass(frozen=True)
class Scored:
    """One scored video: its true class, the seal of its store, and the seconds it took."""

    name: str
    label: int
    seal: str
    seconds: float
    scores: VideoScores


def fingerprint(net: STResNet, protocol: Protocol, *, precision: str) -> str:
    """SHA-256 of everything but the video that its scores depend on.

    Args:
        precision: a resolved one, not "auto".
    """
    settings = {
        "format": FORMAT,
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


class ScoreCache:
    """A score file that grows; with None as its path, nothing is kept.

    Args:
        fingerprint: of the evaluation; a file with another one is replaced.
    """

    def __init__(self, path: Path | None, fingerprint: str, class_names: tuple[str, ...]) -> None:
        self._path = path
        self._fingerprint = fingerprint
        self._class_names = class_names
        self._scored = self._read()
        self._written = time.monotonic()

    def get(self, name: str, seal: str) -> Scored | None:
        """Return a finished video, if it is still the same."""
        found = self._scored.get(name)
        return found if found is not None and found.seal == seal else None

    def add(self, scored: Scored) -> None:
        """Keep a video; it is on disk within half a minute, and after the next `write`."""
        self._scored[scored.name] = scored
        if time.monotonic() - self._written > SAVE_SECONDS:
            self.write()

    def write(self, scored: Iterable[Scored] | None = None) -> None:
        """Write these videos in this order; by default, all that are known.

        Raises:
            EnvironmentProblem: the disk is full or the folder cannot be written.
        """
        videos = list(self._scored.values() if scored is None else scored)
        self._written = time.monotonic()
        if self._path is None or not videos:
            return
        save_arrays(
            self._path,
            names=np.array([video.name for video in videos], dtype=np.str_),
            class_names=np.array(self._class_names, dtype=np.str_),
            truth=np.array([video.label for video in videos], dtype=np.int64),
            fused=np.stack([video.scores.fused for video in videos]),
            appearance=np.stack([video.scores.appearance for video in videos]),
            motion=np.stack([video.scores.motion for video in videos]),
            seconds=np.array([video.seconds for video in videos]),
            seals=np.array([video.seal for video in videos], dtype=np.str_),
            fingerprint=np.array(self._fingerprint),
        )

    def _read(self) -> dict[str, Scored]:
        """What the file holds of this evaluation; nothing if it is damaged."""
        if self._path is None or not self._path.exists():
            return {}
        names = ("names", "truth", "seals", "seconds", "appearance", "motion")
        try:
            # np.load leaves a damaged file open if it is given a path.
            with self._path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                if str(file["fingerprint"]) != self._fingerprint:
                    return {}
                rows = list(zip(*(file[name] for name in names), strict=True))
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            return {}
        return {
            str(name): Scored(
                str(name), int(label), str(seal), float(seconds), VideoScores(appearance, motion)
            )
            for name, label, seal, seconds, appearance, motion in rows
        }
