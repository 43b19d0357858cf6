"""Which of a run's networks to use: the best on videos kept back from training.

The paper's order (two-stream < ST-ResNet < ST-ResNet*) need not hold on every folder. Choosing by
the test videos would make their accuracy too high, so the choice has its own videos.
"""

from __future__ import annotations

import logging
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
from stresnet.timelines.fit import fit_model

logger = logging.getLogger(__name__)


def keep_back(split: Split, fraction: float, seed: int) -> tuple[Split, tuple[VideoItem, ...]]:
    """Return a split without `fraction` of its training videos, and the videos kept back.

    Whole sources are kept back, as `draw_split` draws them.

    Raises:
        UsageError: `fraction` is not between 0 and 1, or no source can be spared.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"validate is {fraction}; expected a fraction below 1")
    side = draw_split(split.train, fraction, seed, split.class_names)
    if not side.test:
        raise UsageError(
            "nothing can be kept back: each class comes from one source only, or one recording",
            remedy="leave --validate out, or add videos",
        )
    return replace(split, train=side.train), side.test


def recommend(
    run: Path,
    videos: PreparedVideos,
    *,
    background: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Path:
    """Judge the networks of a run on videos that were kept back, and return the best one's folder.

    Clips are judged by accuracy, recordings by the mean F1 of their timelines, whose settings are
    fitted for each network and recorded in its folder. Among equals, the later phase's network is
    returned. Videos are scored by the protocol `quick`.

    Args:
        background: for recordings, the class of unlabelled time.

    Raises:
        WeightsError, DatasetError, StoreError, EnvironmentProblem: as they say.
    """
    of_recordings = any(item.span for item in videos.items)
    values: dict[Path, float] = {}
    told: list[str] = []
    for folder in (run / name for name in OF_A_RUN if (run / name).is_dir()):
        if of_recordings:
            values[folder] = fit_model(
                folder, [item for item, _ in videos.usable()], videos.store, background=background,
                device=device, precision=precision,
            )  # fmt: skip
            told.append(f"{folder.name} F1 {values[folder]:.3f}")
        else:
            net = load_model(folder, device=device)
            result = score_videos(net, videos, protocol=QUICK, precision=precision)
            accuracy = estimate([result])["top1"]
            values[folder] = accuracy.value
            told.append(f"{folder.name} {_percent(accuracy)}")
    best = max(reversed(values), key=lambda folder: values[folder])
    kept = len({item.name for item in videos.items})
    kind = "recordings" if of_recordings else "videos"
    logger.info(f"recommended: {best}; {', '.join(told)} of {kept} {kind} kept back from training")
    return best


def _percent(accuracy: Estimate) -> str:
    """`83.4 % (77 to 89)`."""
    value, low, high = (100 * each for each in (accuracy.value, accuracy.low, accuracy.high))
    return f"{value:.1f} % ({low:.0f} to {high:.0f})"
