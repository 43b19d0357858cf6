"""Motion between two frames: dense flow, the camera's part of it, and frames without that.

Points are followed by OpenCV's DIS flow (Kroeger et al., ECCV 2016). The authors used Farneback's.
On real frames with a moved background and a moved object, the errors of DIS are four times smaller,
in a fifth of the time. Our TV-L1 (FAST) is better on the background, but loses objects that move by
many pixels (docs/idt.md, `benchmarks/idt.py`).

The camera's motion (ICCV 2013, section 2):

    corners of the first frame, moved by the dense flow   ⎫
    features of both frames, matched by their descriptors ⎭ -> RANSAC -> homography

The authors matched SURF, which is patented and missing from most builds of OpenCV; we match ORB.
They could leave out points in boxes around people, from a detector of their own; we have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stresnet.idt.layout import Float32, Grey, optional

cv2 = optional("cv2")

Points = npt.NDArray[np.float32]  # (n, 2), x then y, pixels
Features = tuple[Points, npt.NDArray[np.uint8]]  # and descriptors (n, 32), compared bit by bit
Homography = npt.NDArray[np.float64]  # (3, 3): from the first frame to the second

STILL: Homography = np.eye(3)

CORNERS = 1000  # at most
CORNER_QUALITY = 0.001  # of the best corner
CORNER_DISTANCE = 3  # pixels
FEATURES = 500  # at most
REACH = 25  # pixels that a feature may move
INLIER = 1.0  # pixels off the homography
LEAST_MATCHES, LEAST_INLIERS = 50, 25  # with fewer, the camera is taken to stand still
MARGIN = 5  # pixels of a warped frame's border that are not trusted

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


class Camera:
    """Follows the camera through a video; each frame's features are found once."""

    def __init__(self) -> None:
        self._detector = cv2.ORB.create(FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self._before: Features | None = None

    def homography(self, first: Grey, second: Grey, flow: Float32) -> Homography:
        """From `first` to `second`, which is `first` of the next call.

        Args:
            flow: (2, H, W) from first to second, pixels per frame.
        """
        before = self._before or self._features(first)
        after = self._before = self._features(second)
        matches = [self._matched(before, after), _corners(first, flow)]
        start, end = (np.concatenate(points) for points in zip(*matches, strict=True))
        if len(start) <= LEAST_MATCHES:
            return STILL
        found, inliers = cv2.findHomography(start, end, cv2.RANSAC, INLIER)
        return STILL if found is None or inliers.sum() <= LEAST_INLIERS else found

    def _features(self, frame: Grey) -> Features:
        keypoints, descriptors = self._detector.detectAndCompute(frame, None)
        if descriptors is None:
            return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
        return np.array([keypoint.pt for keypoint in keypoints], np.float32), descriptors

    def _matched(self, before: Features, after: Features) -> tuple[Points, Points]:
        (start, of_start), (end, of_end) = before, after
        apart_x, apart_y = (
            np.abs(np.subtract.outer(end[:, axis], start[:, axis])) for axis in (0, 1)
        )
        near = ((apart_x < REACH) & (apart_y < REACH)).astype(np.uint8)
        found: Any = ()
        if near.any():
            found = self._matcher.match(of_end, of_start, near)
        of_after = np.array([match.queryIdx for match in found], np.intp)
        of_before = np.array([match.trainIdx for match in found], np.intp)
        return start[of_before], end[of_after]


def _corners(first: Grey, flow: Float32) -> tuple[Points, Points]:
    """Good features to track (Shi and Tomasi) and where the flow takes them."""
    found = cv2.goodFeaturesToTrack(first, CORNERS, CORNER_QUALITY, CORNER_DISTANCE)
    if found is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    start: Points = found.reshape(-1, 2)
    x, y = np.rint(start).astype(np.intp).T
    return start, start + flow[:, y, x].T


def stabilised(first: Grey, second: Grey, homography: Homography) -> Grey:
    """`second` as the camera of `first` would have seen it; `first` where that is unknown.

    The flow from `first` to the result is the warped flow, which lacks the camera's motion.
    """
    height, width = first.shape
    inside = np.zeros((height, width), np.uint8)
    inside[MARGIN + 1 : -MARGIN - 1, MARGIN + 1 : -MARGIN - 1] = 1
    # The homography leads from a place in the result to the one in `second`.
    warped, known = (
        cv2.warpPerspective(
            image, homography, (width, height), flags=cv2.WARP_INVERSE_MAP | interpolation
        )
        for image, interpolation in ((second, cv2.INTER_LINEAR), (inside, cv2.INTER_NEAREST))
    )
    return np.where(known > 0, warped, first)
