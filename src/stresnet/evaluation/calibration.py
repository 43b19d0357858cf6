"""Whether a score of 80 % is right 80 % of the time, and one number that corrects it.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): the expected calibration error
over bins of equal width, and temperature scaling, which divides all scores by one number. The
temperature is fitted on training videos, never on tested ones. It leaves the order of the classes,
and so the accuracy, as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.preparation import prepared_like
from stresnet.data.splits.split import Split, VideoItem, name_hash
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.metrics import Indices, Scores, softmax
from stresnet.evaluation.protocols import Protocol
from stresnet.evaluation.scoring import require_known, score_videos
from stresnet.model import STResNet
from stresnet.progress import OnProgress, silent

BINS = 15  # Guo et al., section 2
COLDEST, HOTTEST = 0.05, 20.0  # temperatures; there is no best one where all videos are right
MOST_VIDEOS = 200  # that a temperature is fitted on

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bin:
    """The videos whose best class has a probability in one range.

    Attributes:
        confidence: their mean probability of the best class.
        accuracy: how many of them are right, in [0, 1].
    """

    videos: int
    confidence: float
    accuracy: float


def reliability(scores: Scores, truth: Indices) -> tuple[Bin, ...]:
    """Sort unnormalised scores (N, K) into bins; return those with videos, by rising confidence."""
    probabilities = softmax(scores)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for inside in (place == number for number in range(BINS))
        if inside.any()
    )


def calibration_error(filled: tuple[Bin, ...]) -> float:
    """ECE: the mean over all videos of |accuracy - confidence| of their bin."""
    gaps = [(each.videos, abs(each.accuracy - each.confidence)) for each in filled]
    return sum(videos * gap for videos, gap in gaps) / sum(videos for videos, _ in gaps)


def fit_temperature(scores: Scores, truth: Indices) -> float:
    """Return the T for which softmax(scores / T) makes the truth most likely, from 0.05 to 20.

    The likelihood is concave in 1/T. It is best where the score that the probabilities expect
    equals the score of the truth, both averaged over the videos; bisection finds that T.

    Raises:
        UsageError: there are no videos.
    """
    if not len(truth):
        raise UsageError("a temperature cannot be fitted to no videos")
    scores = scores.astype(np.float64)
    of_truth = scores[np.arange(len(truth)), truth].mean()
    cold, hot = np.log(COLDEST), np.log(HOTTEST)
    while hot - cold > 1e-6:
        middle = (cold + hot) / 2
        expected = (softmax(scores / np.exp(middle)) * scores).sum(axis=1).mean()
        if expected > of_truth:  # too sure of itself
            cold = middle
        else:
            hot = middle
    return float(np.exp((cold + hot) / 2))


def calibration_sample(split: Split) -> list[VideoItem]:
    """Draw at most `MOST_VIDEOS` training videos by a hash of their names, the same anywhere.

    Raises:
        DatasetError: the data has no training videos, or tests on some of them.
    """
    tested = {item.name for item in split.test}
    if twice := [item.name for item in split.train if item.name in tested]:
        raise DatasetError(
            f"{twice[0]} is a training and a test video",
            remedy="correct the data set's split, or leave --calibrate out",
        )
    if not split.train:
        raise DatasetError("no training videos to calibrate on", remedy="leave --calibrate out")
    return sorted(split.train, key=lambda item: name_hash(item.name))[:MOST_VIDEOS]


def calibrate(
    net: STResNet,
    split: Split,
    store: Path,
    *,
    protocol: Protocol,
    precision: str = "auto",
    cache: Path | None = None,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> tuple[float, tuple[str, ...]]:
    """Fit the temperature of the fused scores on a sample of the training videos.

    A network is surer of what it was trained on, so this temperature tends to be too low; that is
    the price of leaving the test videos alone. Arguments as in `evaluate`.

    Returns:
        The temperature, and the names of the videos.

    Raises:
        DatasetError: there are no training videos to use, or they have classes that the network
            does not know.
    """
    sample = calibration_sample(split)
    require_known({item.label for item in sample}, net, "the training side")
    logger.info(f"calibration: {len(sample)} training videos")
    videos = ensure_prepared(
        sample,
        store,
        **prepared_like(net.preparation),
        workers=workers,
        device=str(net.device),
        on_progress=on_progress,
    )
    result = score_videos(
        net, videos, protocol=protocol, precision=precision, cache=cache, on_progress=on_progress
    )
    return fit_temperature(result.scores["fused"], result.truth), result.names
