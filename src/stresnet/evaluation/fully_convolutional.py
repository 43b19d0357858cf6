"""The paper's test protocol (sections 3.4 and 4.1): one video -> unnormalised class scores.

25 chunks evenly over the video and their mirror images; the network is fully convolutional in
space (whole frames) and in time (all chunks in one pass). The scores are averaged over space (in
the network), over time, over the mirror and, for the fusion, over both streams with equal weight,
without a softmax ("averaging un-normalised scores", section 4.1). Other protocols differ in what
they look at, not in how scores are averaged.

Evaluation, prediction and validation during training all use `score_video`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stresnet.data.loading.chunks import Chunks, FramesAndFlow
from stresnet.device import gpu_errors
from stresnet.evaluation.metrics import late_fusion
from stresnet.evaluation.protocols import PAPER, Protocol, views
from stresnet.inference import InferenceNetwork, frozen
from stresnet.model import STResNet


@dataclass(frozen=True)
class VideoScores:
    """Unnormalised scores of one video, (K,) float32 each."""

    appearance: NDArray[np.float32]
    motion: NDArray[np.float32]

    @property
    def fused(self) -> NDArray[np.float32]:
        """Both streams with equal weights."""
        return late_fusion(self.appearance, self.motion)


@torch.inference_mode()
def score_video(
    net: STResNet, video: FramesAndFlow, *, precision: str = "auto", protocol: Protocol = PAPER
) -> VideoScores:
    """Score one video, as in eval mode, on the network's device; the network's mode stays.

    On a GPU all passes, such as the video and its mirror image, are one batch; on a processor they
    run one after the other.

    Args:
        precision: see `stresnet.device`. In bfloat16 scores differ by up to 10 % of the greatest
            (docs/inference.md).

    Raises:
        UsageError: the protocol has too few chunks for the network's pool over time.
        StoreError: the video is damaged.
        EnvironmentProblem: the device is out of memory, busy or gone.
    """
    passes: list[Tensor] = []
    work = f"{protocol.chunks} chunks of a video of {video.width}x{video.height} pixels"
    with gpu_errors(net.device, work, lower="--precision bf16"):
        tested = frozen(net, precision=precision)
        seen = views(video, protocol, size=net.config["input_size"], device=net.device)
        at_once = 1 if net.device.type == "cpu" else sys.maxsize
        while batch := list(islice(seen, at_once)):
            passes += _passes(tested, batch)
        appearance, motion = torch.stack(passes).mean(0).cpu().numpy()
    return VideoScores(appearance, motion)


def _passes(tested: InferenceNetwork, batch: Sequence[Chunks]) -> list[Tensor]:
    """Score views of one size, (2,K) each; if memory is short, half of them at a time."""
    try:
        rgb = torch.stack([view.rgb for view in batch])
        flow = torch.stack([view.flow for view in batch])
        streams = [scores.mean(1) for scores in tested(rgb, flow)]  # of (B,T',K)
        return list(torch.stack(streams, 1))
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    half = len(batch) // 2
    return [*_passes(tested, batch[:half]), *_passes(tested, batch[half:])]
