"""Real frames for the flow benchmarks, and OpenCV's DualTVL1 with our parameters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from stresnet.data.video.decode import iter_frames
from stresnet.errors import DatasetError
from stresnet.flow import TVL1Parameters, grey

SHIPPED_CLIPS = Path(__file__).parent.parent / "src/stresnet/assets/clips"
FIRST_FRAME = 10  # of each video; the very first ones are often black or still

Frames = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]


def clips(folder: Path, count: int, *, length: int, height: int, width: int) -> list[Frames]:
    """`count` runs of `length` grey frames (length, height, width), one a video, of a whole folder.

    The frames' shorter side becomes `height`; what is wider than `width` is cut off evenly.
    Videos that are too short or too narrow are left out.
    """
    videos = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".avi", ".mpg"))
    found: list[Frames] = []
    # Evenly over the folder, and all of it if need be.
    order = sorted(range(len(videos)), key=lambda i: (i * count % max(1, len(videos)), i))
    for video in (videos[i] for i in order):
        if len(found) == count:
            break
        read = iter_frames(video, short_side=height)
        images = [frame.image for frame in islice(read, FIRST_FRAME, FIRST_FRAME + length)]
        if len(images) == length and images[0].shape[0] == height and images[0].shape[1] >= width:
            left = (images[0].shape[1] - width) // 2
            found.append(grey(np.stack(images)[:, :, left : left + width]))
    if not found:
        raise DatasetError(
            f"{folder}: no video has {FIRST_FRAME + length} frames of {width}x{height} or more",
            remedy="give another folder or size",
        )
    return found


def opencv_solver(p: TVL1Parameters) -> Callable[[Frames], Flow]:
    """OpenCV's DualTVL1 on the CPU with those of our parameters that it has.

    It always looks at the change in every iteration, interpolates with -0.75, and shows black
    beyond the border.
    """
    inner = p.median_every or p.iterations
    solver = cv2.optflow.DualTVL1OpticalFlow_create(
        tau=p.tau,
        lambda_=p.lambda_,
        theta=p.theta,
        nscales=p.scales,
        warps=p.warps,
        epsilon=p.epsilon,
        innnerIterations=inner,
        outerIterations=p.iterations // inner,
        scaleStep=p.scale_step,
        medianFiltering=5 if p.median_every else 1,
    )

    def solve(pair: Frames) -> Flow:
        return cast(Flow, solver.calc(pair[0], pair[1], None).transpose(2, 0, 1))

    return solve
