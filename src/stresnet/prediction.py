"""One video -> ranked classes. The command line, the demo and programs all call this.

The video goes the same way as in training and evaluation, JPEGs of the store included, so that a
score here is the score there, bit for bit.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.prepare import prepare_frames, prepare_video
from stresnet.data.store import StoredVideo
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.metrics import softmax
from stresnet.model import STResNet, load_model


@dataclass(frozen=True)
class ClassScore:
    """A class and its softmax scores in [0, 1].

    Attributes:
        score: of both streams together (their unnormalised scores averaged).
        appearance, motion: of each stream alone.
    """

    label: str
    score: float
    appearance: float
    motion: float


@dataclass(frozen=True)
class Prediction:
    """Ranked classes of one video, best first.

    Attributes:
        source: the video's path, or "array".
        duration: seconds.
        warnings: what was odd about the video ("truncated: 31 of 60 frames").
    """

    source: str
    predictions: tuple[ClassScore, ...]
    duration: float
    warnings: tuple[str, ...]

    @property
    def label(self) -> str:
        """The best class."""
        return self.predictions[0].label

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def predict(
    model: STResNet | str | Path,
    source: str | Path | NDArray[np.uint8],
    *,
    top_k: int = 5,
    fps: float = 25.0,
    threads: int = 1,
) -> Prediction:
    """Recognise the action in one video.

    Args:
        model: a network, or a folder that `save_pretrained` wrote.
        source: a video file, or its frames (N, H, W, 3) uint8 RGB.
        top_k: how many classes to return.
        fps: frames a second of an array of frames.
        threads: CPU threads for the optical flow.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: `top_k` or the array make no sense.
        WeightsError: the model's folder cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(Path(model))
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; expected at least 1")
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        path = Path(scratch) / "video.zip"
        if isinstance(source, np.ndarray):
            stored = prepare_frames(source, path, fps=fps, threads=threads)
        else:
            stored = prepare_video(Path(source), path, threads=threads)
        name = "array" if isinstance(source, np.ndarray) else str(source)
        return predict_stored(net, stored, name, top_k=top_k)


def predict_stored(net: STResNet, stored: StoredVideo, name: str, *, top_k: int = 5) -> Prediction:
    """Recognise the action in a prepared video."""
    scores = score_video(net, stored)
    columns = [softmax(each) for each in (scores.fused, scores.appearance, scores.motion)]
    best = np.argsort(-columns[0], kind="stable")[:top_k]
    return Prediction(
        source=name,
        predictions=tuple(
            ClassScore(net.class_names[i], *(float(column[i]) for column in columns)) for i in best
        ),
        duration=stored.duration,
        warnings=stored.warnings,
    )
