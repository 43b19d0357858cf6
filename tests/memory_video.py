"""Arrays that are served as a prepared video."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import Indices
from stresnet.data.store.format import NO_MOTION


class InMemoryVideo:
    """`frames` (N,H,W,3) uint8, `flow_bytes` (N-1,2,H,W) uint8."""

    def __init__(self, frames: NDArray[np.uint8], flow_bytes: NDArray[np.uint8]) -> None:
        self.num_frames, self.height, self.width, _ = frames.shape
        if self.num_frames == 1:
            flow_bytes = np.full((1, 2, self.height, self.width), NO_MOTION, dtype=np.uint8)
        self._frames, self._flow = frames, flow_bytes

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        return self._frames[indices]

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        return self._flow[indices]
