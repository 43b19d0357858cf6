"""Occlusion in time: what a score loses while nothing happens for a moment.

Zeiler and Fergus (ECCV 2014) hide parts of a picture; here an interval of the video stands still.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.chunks import FramesAndFlow
from stresnet.data.loading.sampling import Indices
from stresnet.data.store.format import NO_MOTION
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import Protocol
from stresnet.explanation.class_activation_map import margin_weights
from stresnet.model import STResNet


class Occluded:
    """A video that stands still from frame `first` to before frame `last`.

    It shows the frame before the interval, or the one after it if there is none before; all flow
    from or to a hidden frame is zero.
    """

    def __init__(self, video: FramesAndFlow, first: int, last: int) -> None:
        self._video, self._first, self._last = video, first, last
        self.num_frames, self.height, self.width = video.num_frames, video.height, video.width

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        hidden = (self._first <= indices) & (indices < self._last)
        shown = self._first - 1 if self._first > 0 else min(self._last, self.num_frames - 1)
        return self._video.frames(np.where(hidden, shown, indices))

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        hidden = (self._first - 1 <= indices) & (indices < self._last)
        still = np.uint8(NO_MOTION)
        return np.where(hidden[:, None, None, None], still, self._video.flow(indices))


def interval_edges(num_frames: int, intervals: int) -> Indices:
    """Return (I+1,) frames that cut a video into `intervals` parts, or one part for each frame.

    A single frame cannot be cut: (1,), no interval.
    """
    parts = min(intervals, num_frames) if num_frames > 1 else 0
    return np.arange(parts + 1, dtype=np.int64) * num_frames // max(parts, 1)


def losses(
    net: STResNet,
    video: FramesAndFlow,
    index: int,
    edges: Indices,
    protocol: Protocol,
    *,
    precision: str = "auto",
) -> NDArray[np.float64]:
    """(2,I) what each stream's margin of class `index` loses while an interval is hidden.

    Both streams count half, as in the fused score, and what motion gives to appearance counts as
    appearance's. Below zero, the interval spoke against the class. Mirror images are left out.

    Raises:
        StoreError: the video is damaged.
    """
    weights = margin_weights(net.config["num_classes"], index) / 2
    protocol = replace(protocol, mirrored=False)  # half the time

    def margins(seen: FramesAndFlow) -> NDArray[np.float64]:
        scores = score_video(net, seen, protocol=protocol, precision=precision)
        return np.array([scores.appearance @ weights, scores.motion @ weights], np.float64)

    if len(edges) < 2:
        return np.zeros((2, 0))
    whole = margins(video)
    hidden = [margins(Occluded(video, *pair)) for pair in pairwise(edges)]
    return whole[:, None] - np.stack(hidden, axis=1)
