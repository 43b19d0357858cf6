"""The dense flow that points are followed by: OpenCV's DIS (Kroeger et al., ECCV 2016).

The authors used Farneback's. On real frames with a moved background and a moved object, DIS errs
four times less in a fifth of the time; our TV-L1 (FAST) is better on the background, but loses
objects that move by many pixels (docs/idt.md, `benchmarks/idt.py`).
"""

from __future__ import annotations

import numpy as np

from stresnet.idt.layout import Float32, Grey
from stresnet.idt.opencv import cv2

# Between OpenCV's presets FAST and MEDIUM: MEDIUM's finest level, half its time.
FINEST_LEVEL = 1  # half size
PATCH_STRIDE = 5  # pixels
DESCENTS = 12
REFINEMENTS = 3


class DenseFlow:
    """Computes flow, one pair of frames after the other (OpenCV keeps its memory between them)."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setFinestScale(FINEST_LEVEL)
        self._dis.setPatchStride(PATCH_STRIDE)
        self._dis.setGradientDescentIterations(DESCENTS)
        self._dis.setVariationalRefinementIterations(REFINEMENTS)

    def __call__(self, first: Grey, second: Grey) -> Float32:
        """(H, W) and (H, W) -> (2, H, W), x then y, pixels per frame.

        `first` at x looks like `second` at x + flow.
        """
        flow = self._dis.calc(first, second, None)
        return np.ascontiguousarray(flow.transpose(2, 0, 1), dtype=np.float32)
