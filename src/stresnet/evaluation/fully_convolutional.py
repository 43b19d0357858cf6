"""The paper's test protocol (sections 3.4 and 4.1): one video -> unnormalised class scores.

25 chunks evenly over the video and their mirror images; the network is fully convolutional in
space (whole frames) and in time (all chunks in one pass). The scores are averaged over space (in
the network), over time, over the mirror and, for the fusion, over both streams with equal weight,
without a softmax ("averaging un-normalised scores", section 4.1). Other protocols differ in what
they look at, not in how scores are averaged.

Evaluation, prediction and validation during training all come through `score_video`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stresnet.data.loading.dataset import FramesAndFlow
from stresnet.errors import EnvironmentProblem
from stresnet.evaluation.protocols import PAPER, Protocol, views
from stresnet.inference import frozen
from stresnet.model import STResNet


@dataclass(frozen=True)
class VideoScores:
    """Unnormalised scores of one video, (K,) float32 each."""

    appearance: NDArray[np.float32]
    motion: NDArray[np.float32]

    @property
    def fused(self) -> NDArray[np.float32]:
        """Equal-weight average of both streams."""
        return (self.appearance + self.motion) / np.float32(2)


@torch.inference_mode()
def score_video(
    net: STResNet, video: FramesAndFlow, *, precision: str = "auto", protocol: Protocol = PAPER
) -> VideoScores:
    """Score one video on the network's device; a network in training is tested and trains on.

    Args:
        precision: as of `stresnet.device`. In bfloat16 scores differ by up to 10 % of the greatest
            (docs/inference.md).

    Raises:
        UsageError: the protocol has too few chunks for the network's pool over time.
        StoreError: the video is damaged.
        EnvironmentProblem: the device ran out of memory.
    """
    passes = []
    try:
        tested = frozen(net, precision=precision)
        for view in views(video, protocol, size=net.config["input_size"]):
            streams = tested(view.rgb[None].to(tested.device), view.flow[None].to(tested.device))
            passes.append(torch.stack([scores.mean((0, 1)) for scores in streams]))  # of (1,T',K)
    except torch.OutOfMemoryError as error:
        raise EnvironmentProblem(
            f"{net.device}: out of memory for {protocol.chunks} chunks of a video of "
            f"{video.width}x{video.height} pixels",
            remedy="end other programs on the device, or choose --precision bf16 or --device cpu",
        ) from error
    appearance, motion = torch.stack(passes).mean(0).cpu().numpy()
    return VideoScores(appearance, motion)
