"""Why a network gives a video a class: one call.

video -> frames and flow -> evidence (where, when, which stream)   -> Explanation
                         -> occlusion (what would be missed)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.video.decode import frames_of_array, iter_frames
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.explanation.class_activation_map import (
    cell_centres,
    class_index,
    evidence,
    margin_of,
)
from stresnet.explanation.explanation import Explanation, TimedVideo
from stresnet.explanation.occlusion import interval_edges, losses
from stresnet.model import STResNet, load_model
from stresnet.prediction.encoded_frames import EncodedVideo, encode_frames

INTERVALS = 10  # of occlusion


def explain(
    model: STResNet | str | Path,
    source: str | Path | NDArray[np.uint8],
    *,
    label: str | None = None,
    intervals: int = INTERVALS,
    fps: float = 25.0,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Explanation:
    """Say why a network gives a video a class.

    Frames and flow are prepared as the model's training videos were, and stay in memory as JPEGs.

    Args:
        model: a network, or what `load_model` takes.
        source: a video file, or its frames (N, H, W, 3) uint8 RGB.
        label: the class to explain; None: the one that the network recognises.
        intervals: of occlusion in time; each costs half a prediction, and 0 leaves it out.
        fps: frames a second of an array of frames.
        threads: CPU threads for the optical flow; None is one for each core.
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.
        precision: of occlusion, "auto", "fp32", "bf16" or "fp16". The evidence is always computed
            in float32, so that its parts add up to the score.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: there is no such class, or an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device=device)
    _check(net, label, intervals)
    flow, side = flow_parameters(net.preparation), short_side(net.preparation)
    warnings: list[str] = []
    if isinstance(source, np.ndarray):
        name, frames = "array", frames_of_array(source, fps=fps, short_side=side)
    else:
        name = str(source)
        frames = iter_frames(Path(source), short_side=side, on_warning=warnings.append)
    encoded = list(encode_frames(frames, flow=flow, threads=threads))
    return explain_stored(
        net,
        EncodedVideo(encoded, warnings),
        name,
        label=label,
        intervals=intervals,
        precision=precision,
    )


def explain_stored(
    net: STResNet,
    video: TimedVideo,
    name: str,
    *,
    label: str | None = None,
    intervals: int = INTERVALS,
    precision: str = "auto",
) -> Explanation:
    """Say why a network gives a prepared video a class; arguments as of `explain`.

    Raises:
        UsageError: there is no such class, or `intervals` is below 0.
        StoreError: the video is damaged.
    """
    _check(net, label, intervals)
    scores = score_video(net, video, precision="fp32")
    index = int(scores.fused.argmax()) if label is None else class_index(net, label)
    found = evidence(net, video, index)
    rows, columns = cell_centres(net, video.height, video.width)
    edges = interval_edges(video.num_frames, intervals)
    return Explanation(
        source=name,
        label=net.class_names[index],
        class_names=net.class_names,
        scores=scores,
        margin=margin_of(scores, index),
        bias=found.bias,
        maps=found.maps,
        centres=testing_centres(video.num_frames, found.maps.shape[1]),
        rows=rows,
        columns=columns,
        edges=edges,
        losses=losses(net, video, index, edges, precision=precision),
        device=net.device.type,
        video=video,
    )


def _check(net: STResNet, label: str | None, intervals: int) -> None:
    """Refuse what can be known to be wrong before a video is prepared."""
    if intervals < 0:
        raise UsageError(f"{intervals} intervals, expected 0 or more")
    net.require_class_names()
    if label is not None:
        class_index(net, label)
