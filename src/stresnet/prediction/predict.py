"""One video -> ranked classes: the paper's protocol over its whole length.

The video goes the same way as in training and evaluation, JPEGs of the store included, so that a
score here is the score there, bit for bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.data.prepare.many import prepare_frames, prepare_video
from stresnet.data.prepare.prefetched import prepared_ahead
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import VideoError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import PAPER, Protocol
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.model import STResNet, load_model
from stresnet.prediction.ranking import ClassScore, ranked, require_top_k


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
    flow: TVL1Parameters = AUTHORS,
    protocol: Protocol = PAPER,
    device: str = "auto",
    precision: str = "auto",
) -> Prediction:
    """Recognise the action in one video.

    Args:
        model: a network, or what `load_model` takes: a folder that `save_pretrained` wrote.
        source: a video file, or its frames (N, H, W, 3) uint8 RGB.
        top_k: how many classes to return.
        fps: frames a second of an array of frames.
        threads: CPU threads for the optical flow.
        flow: how the optical flow is computed; FAST is quicker than what models are trained on.
        protocol: what the network sees of the video.
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.
        precision: "auto", "fp32", "bf16" or "fp16" (see `stresnet.device`).

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: `top_k` or the array make no sense, or the network has no class names.
        WeightsError: the model's folder cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device=device)
    net.require_class_names()
    require_top_k(top_k)
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        path = Path(scratch) / "video.zip"
        if isinstance(source, np.ndarray):
            stored = prepare_frames(source, path, fps=fps, parameters=flow, threads=threads)
        else:
            stored = prepare_video(Path(source), path, parameters=flow, threads=threads)
        name = "array" if isinstance(source, np.ndarray) else str(source)
        return predict_stored(
            net, stored, name, top_k=top_k, protocol=protocol, precision=precision
        )


def predict_stored(
    net: STResNet,
    stored: StoredVideo,
    name: str,
    *,
    top_k: int = 5,
    protocol: Protocol = PAPER,
    precision: str = "auto",
) -> Prediction:
    """Recognise the action in a prepared video; arguments as of `predict`."""
    names = net.require_class_names()
    scores = score_video(net, stored, protocol=protocol, precision=precision)
    return Prediction(
        source=name,
        predictions=ranked(names, scores, top_k),
        duration=stored.duration,
        warnings=stored.warnings,
    )


def predict_each(
    net: STResNet,
    videos: Iterable[Path],
    *,
    top_k: int = 5,
    threads: int = 1,
    flow: TVL1Parameters = AUTHORS,
    protocol: Protocol = PAPER,
    precision: str = "auto",
) -> Generator[tuple[Path, Prediction | VideoError], None, None]:
    """Recognise many videos; the next ones are decoded while the network sees the one before.

    A video that cannot be read comes with its error and stops no other. Arguments as of `predict`.
    """
    require_top_k(top_k)
    with prepared_ahead(videos, flow=flow, threads=threads) as prepared:
        for video, stored in prepared:
            if isinstance(stored, VideoError):
                yield video, stored
            else:
                found = predict_stored(
                    net, stored, str(video), top_k=top_k, protocol=protocol, precision=precision
                )
                yield video, found
