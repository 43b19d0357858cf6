"""The paper's test protocol (sections 3.4 and 4.1): one video -> unnormalised class scores.

25 chunks evenly over the video and their mirror images; the network is fully convolutional in
space (whole frames) and in time (all chunks in one pass). The scores are averaged over space (in
the network), over time, over the mirror and, for the fusion, over both streams with equal weight,
without a softmax ("averaging un-normalised scores", section 4.1). Other protocols differ in what
they look at, not in how scores are averaged.

Evaluation, prediction and validation during training all come through `score_video`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stresnet.data.chunks import FramesAndFlow
from stresnet.evaluation.protocols import PAPER, Protocol, views
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
    net: STResNet, video: FramesAndFlow, *, bf16: bool = False, protocol: Protocol = PAPER
) -> VideoScores:
    """Score one video on the network's device; a network in training is tested and trains on.

    Args:
        bf16: multiply in bfloat16, several times faster where the processor does it natively;
            scores differ in the third digit.

    Raises:
        UsageError: the protocol has too few chunks for the network's pool over time.
        StoreError: the video is damaged.
    """
    device = next(net.parameters()).device
    passes = []
    with _testing(net):
        for view in views(video, protocol, size=net.config["input_size"]):
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                streams = net(view.rgb[None].to(device), view.flow[None].to(device))  # (1,T',K)
            passes.append(torch.stack([scores.float().mean((0, 1)) for scores in streams]))  # (2,K)
    appearance, motion = torch.stack(passes).mean(0).cpu().numpy()
    return VideoScores(appearance, motion)


@contextmanager
def _testing(net: STResNet) -> Iterator[None]:
    """BatchNorm with its running moments and no dropout; afterwards every module as it was."""
    in_training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in in_training:
            module.training = True
