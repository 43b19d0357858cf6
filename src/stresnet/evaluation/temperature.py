"""A network's temperature, fitted on training videos and never on tested ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.splits.split import Split, VideoItem
from stresnet.errors import DatasetError
from stresnet.evaluation.calibration import fit_temperature
from stresnet.evaluation.evaluate import require_known, score_videos
from stresnet.evaluation.prepared_videos import PreparedVideos
from stresnet.evaluation.protocols import Protocol
from stresnet.model import STResNet

MOST_VIDEOS = 200


@dataclass(frozen=True)
class Calibration:
    """Temperatures for the fused scores, one a fold, and the videos they were fitted on."""

    temperatures: tuple[float, ...]
    videos: tuple[tuple[str, ...], ...]

    @classmethod
    def together(cls, folds: Sequence[Calibration]) -> Calibration:
        """Those of several folds as one."""
        return cls(
            tuple(temperature for fold in folds for temperature in fold.temperatures),
            tuple(videos for fold in folds for videos in fold.videos),
        )


def calibration_sample(split: Split, *, most: int = MOST_VIDEOS, seed: int = 0) -> list[VideoItem]:
    """At most `most` training videos, by a hash of seed and name: any machine draws the same.

    Raises:
        DatasetError: the data has no training videos, or tests on some.
    """
    tested = {item.name for item in split.test}
    if twice := [item.name for item in split.train if item.name in tested]:
        raise DatasetError(
            f"{twice[0]} is a training and a test video",
            remedy="correct the data set's split, or leave --calibrate out",
        )
    if not split.train:
        raise DatasetError(
            "there are no training videos to calibrate on", remedy="leave --calibrate out"
        )
    return sorted(
        split.train,
        key=lambda item: hashlib.sha256(os.fsencode(f"{seed} {item.name}")).digest(),
    )[:most]


def calibrate(
    net: STResNet,
    split: Split,
    store: Path,
    *,
    protocol: Protocol,
    precision: str = "auto",
    kept: Path | None = None,
    say: Callable[[str], None] = print,
) -> Calibration:
    """Fit the temperature of the fused scores on a sample of the training videos.

    A network is surer on what it was trained on, so this temperature is rather too low; that is the
    price of leaving the test videos alone.

    Raises:
        DatasetError: there are no training videos to use, or they have classes the network does
            not know.
    """
    sample = calibration_sample(split)
    require_known({item.label for item in sample}, net, "the training side")
    say(f"calibration: {len(sample)} training videos")
    videos = PreparedVideos.of(sample, store, say)
    report = score_videos(net, videos, protocol=protocol, precision=precision, kept=kept, say=say)
    temperature = fit_temperature(report.scores["fused"], report.truth)
    return Calibration((temperature,), (report.names,))
