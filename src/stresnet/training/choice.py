"""Which of a run's networks to use: the best on videos kept back from the training side.

The paper's order (two-stream < ST-ResNet < ST-ResNet*) need not hold on every folder. To choose by
the test videos would make their accuracy too high, so the choice has videos of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.splits.split import Split, VideoItem, draw_split
from stresnet.errors import UsageError
from stresnet.evaluation.bootstrap import Estimate, estimate
from stresnet.evaluation.models import OF_A_RUN
from stresnet.evaluation.protocols import QUICK
from stresnet.evaluation.scoring import score_videos
from stresnet.model import load_model

logger = logging.getLogger(__name__)


def keep_back(split: Split, fraction: float, seed: int) -> tuple[Split, tuple[VideoItem, ...]]:
    """Return a split with `fraction` of its training videos kept back, and these videos.

    Whole sources are kept back, as `draw_split` draws them.

    Raises:
        UsageError: `fraction` is not between 0 and 1, or the data are long recordings.
    """
    if split.of_recordings:
        raise UsageError(
            "networks are compared on whole clips, but these are segments of recordings",
            remedy="leave --validate out; compare the networks with `stresnet evaluate`",
        )
    if not 0 < fraction < 1:
        raise UsageError(f"validate is {fraction}; expected a fraction below 1")
    side = draw_split(split.train, fraction, seed, split.class_names)
    return replace(split, train=side.train), side.test


def recommend(
    run: Path, videos: PreparedVideos, *, device: str = "auto", precision: str = "auto"
) -> Path:
    """Score the networks of a run on videos that were kept back, and return the best one's folder.

    Among equals the later phase's is returned. Videos are looked at by the protocol `quick`.

    Raises:
        WeightsError, DatasetError, EnvironmentProblem: as they say.
    """
    found: dict[Path, Estimate] = {}
    for name in OF_A_RUN:
        if (run / name).is_dir():
            net = load_model(run / name, device=device)
            result = score_videos(net, videos, protocol=QUICK, precision=precision)
            found[run / name] = estimate([result])["top1"]
    best = max(reversed(found), key=lambda folder: found[folder].value)
    logger.info(f"recommended: {best}; {_compared(list(found.items()), len(videos.items))}")
    return best


def _compared(found: Sequence[tuple[Path, Estimate]], videos: int) -> str:
    """`two_stream 83.4 % (77 to 89), ... of 60 videos kept back from training`."""
    accuracies = [
        f"{folder.name} {100 * each.value:.1f} % ({100 * each.low:.0f} to {100 * each.high:.0f})"
        for folder, each in found
    ]
    return f"{', '.join(accuracies)} of {videos} videos kept back from training"
