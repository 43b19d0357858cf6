"""Why a network gives a video a class: one call.

prepared video -> evidence (where, when, which stream) + occlusion (what is missed) -> Explanation
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.prepare.many import prepare_frames, prepare_video
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.explanation.class_activation_map import cell_centres, evidence, margin_of
from stresnet.explanation.explanation import Explanation
from stresnet.explanation.occlusion import interval_edges, losses
from stresnet.model import STResNet, load_model

INTERVALS = 10  # of occlusion


def explain(
    model: STResNet | str | Path,
    source: str | Path | NDArray[np.uint8],
    *,
    label: str | None = None,
    intervals: int = INTERVALS,
    fps: float = 25.0,
    threads: int = 1,
) -> Explanation:
    """Say why a network gives a video a class.

    Args:
        model: a network, or what `load_model` takes.
        source: a video file, or its frames (N, H, W, 3) uint8 RGB.
        label: the class to explain; None: the one it recognises.
        intervals: of occlusion in time; each costs half a prediction, 0 leaves it out.
        fps: frames a second of an array of frames.
        threads: CPU threads for the optical flow.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: there is no such class, or an argument makes no sense.
        WeightsError: the model's folder cannot be used.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device="cpu")
    _check(net, label, intervals)
    scratch = tempfile.mkdtemp(prefix="stresnet-")
    try:
        path = Path(scratch) / "video.zip"
        if isinstance(source, np.ndarray):
            name, stored = "array", prepare_frames(source, path, fps=fps, threads=threads)
        else:
            name, stored = str(source), prepare_video(Path(source), path, threads=threads)
        # The pictures of `save` are drawn from it, so it lives as long as who refers to it.
        weakref.finalize(stored, shutil.rmtree, scratch, ignore_errors=True)
        return explain_stored(net, stored, name, label=label, intervals=intervals)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def explain_stored(
    net: STResNet,
    stored: StoredVideo,
    name: str,
    *,
    label: str | None = None,
    intervals: int = INTERVALS,
) -> Explanation:
    """As `explain`, for a prepared video.

    Raises:
        UsageError: there is no such class, or `intervals` is below 0.
        StoreError: the video is damaged.
    """
    _check(net, label, intervals)
    scores = score_video(net, stored)
    index = int(scores.fused.argmax()) if label is None else class_index(net, label)
    found = evidence(net, stored, index)
    rows, columns = cell_centres(net, stored.height, stored.width)
    edges = interval_edges(stored.num_frames, intervals)
    return Explanation(
        source=name,
        label=net.class_names[index],
        class_names=net.class_names,
        scores=scores,
        margin=margin_of(scores, index),
        bias=found.bias,
        maps=found.maps,
        centres=testing_centres(stored.num_frames, found.maps.shape[1]),
        rows=rows,
        columns=columns,
        edges=edges,
        losses=losses(net, stored, index, edges),
        video=stored,
    )


def class_index(net: STResNet, label: str) -> int:
    """The place of a class among the network's.

    Raises:
        UsageError: the network has no class of that name.
    """
    if label not in net.class_names:
        known = ", ".join(net.class_names[:10]) + (", ..." if len(net.class_names) > 10 else "")
        raise UsageError(f"the network knows no class {label!r}", remedy=f"choose from: {known}")
    return net.class_names.index(label)


def _check(net: STResNet, label: str | None, intervals: int) -> None:
    """What can be known to be wrong before a video is prepared."""
    if intervals < 0:
        raise UsageError(f"{intervals} intervals, expected 0 or more")
    if not net.class_names:
        raise UsageError("the network has no class names", remedy="load it with load_model")
    if label is not None:
        class_index(net, label)
