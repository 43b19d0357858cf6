"""The paper's test protocol (sections 3.4 and 4.1): one video -> unnormalised class scores.

25 chunks evenly over the video and their mirror images; the network is fully convolutional in
space (whole frames) and in time (all chunks in one pass). The scores are averaged over space (in
the network), over time, over the mirror and, for the fusion, over both streams with equal weight,
without a softmax ("averaging un-normalised scores", section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stresnet.data.chunks import FramesAndFlow, testing_chunks
from stresnet.model import STResNet

TEST_CHUNKS = 25


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
def score_video(net: STResNet, video: FramesAndFlow, *, bf16: bool = False) -> VideoScores:
    """Score one video with a network in evaluation mode, on the network's device.

    Args:
        bf16: multiply in bfloat16, several times faster where the processor does it natively;
            scores differ in the third digit.
    """
    device = next(net.parameters()).device
    seen = testing_chunks(video, chunks=TEST_CHUNKS, size=net.config["input_size"])
    passes = []
    for view in (seen, seen.mirrored()):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            streams = net(view.rgb[None].to(device), view.flow[None].to(device))  # (1,T',K) each
        passes.append(torch.stack([scores.float().mean((0, 1)) for scores in streams]))  # (2,K)
    appearance, motion = torch.stack(passes).mean(0).cpu().numpy()
    return VideoScores(appearance, motion)
