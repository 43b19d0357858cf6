"""Why a network gives a video a class: one call.

video -> frames and flow -> evidence (where, when, which stream)   -> Explanation
                         -> occlusion (what would be missed)
"""

from __future__ import annotations

from pathlib import Path

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.store.reader import StoredVideo
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
from stresnet.model import STResNet
from stresnet.prediction.encoded_frames import EncodedVideo, encode_frames
from stresnet.prediction.recognise import Model, Video, as_array
from stresnet.prediction.recogniser import network_on

INTERVALS = 10  # of occlusion


def explain(
    model: Model,
    video: Video,
    *,
    label: str | None = None,
    intervals: int = INTERVALS,
    fps: float = 25.0,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Explanation:
    """Say why a network gives a video a class.

    Frames and flow are prepared as the model's training videos were, and stay in memory as JPEGs;
    those of a prepared video stay where they are.

    Args:
        model: a network, or what `load_model` takes.
        video: a video file; its frames, (N, H, W, 3) uint8 RGB or as `predict` takes them; or a
            prepared video.
        label: the class to explain; None: the one that the network recognises.
        intervals: of occlusion in time; each costs half a prediction, and 0 leaves it out.
        fps: frames per second of frames that are given.
        threads: CPU threads for the optical flow; None is one for each core.
        device: see `stresnet.device`. A network that is on another device is copied.
        precision: of occlusion. The evidence is always computed in float32, so that its parts add
            up to the score.

    Raises:
        VideoError: the file cannot be decoded.
        StoreError: the prepared video is damaged.
        UsageError: there is no such class, or an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    net = network_on(model, device)
    if intervals < 0:
        raise UsageError(f"{intervals} intervals, expected 0 or more")
    net.require_class_names()
    if label is not None:
        class_index(net, label)
    name, seen = _prepared(net, video, fps, threads)

    scores = score_video(net, seen, precision="fp32")
    index = int(scores.fused.argmax()) if label is None else class_index(net, label)
    found = evidence(net, seen, index)
    rows, columns = cell_centres(net, seen.height, seen.width)
    edges = interval_edges(seen.num_frames, intervals)
    return Explanation(
        source=name,
        label=net.class_names[index],
        class_names=net.class_names,
        scores=scores,
        margin=margin_of(scores, index),
        bias=found.bias,
        maps=found.maps,
        centres=testing_centres(seen.num_frames, found.maps.shape[1]),
        rows=rows,
        columns=columns,
        edges=edges,
        losses=losses(net, seen, index, edges, precision=precision),
        device=str(net.device),
        video=seen,
    )


def _prepared(
    net: STResNet, video: Video, fps: float, threads: int | None
) -> tuple[str, TimedVideo]:
    """Return a video's name, and its frames and flow as the network is to see them."""
    if isinstance(video, StoredVideo):
        return video.index.origin.name, video
    flow, side = flow_parameters(net.preparation), short_side(net.preparation)
    warnings: list[str] = []
    if isinstance(video, str | Path):
        name = str(video)
        frames = iter_frames(Path(video), short_side=side, on_warning=warnings.append)
    else:
        name, frames = "array", frames_of_array(as_array(video), fps=fps, short_side=side)
    encoded = list(encode_frames(frames, flow=flow, threads=threads, device=str(net.device)))
    return name, EncodedVideo(encoded, warnings)
