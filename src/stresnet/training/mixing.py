"""Mixup and CutMix: each video of a normalisation group shares its place with another one.

Mixup (Zhang et al., ICLR 2018) blends two videos; CutMix (Yun et al., ICCV 2019) pastes a box of
one into the other. Here both streams and all chunks are mixed alike: the same partner, the same
share, the same box. The target has the two classes in the same shares.

The partner is the video before in the group, of which the first has the last: groups are in random
order already. A group of one video stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from stresnet.training.recipe import Phase


@dataclass(frozen=True)
class Mix:
    """How a group's videos are mixed.

    Attributes:
        share: of the video itself, in [0, 1]; its partner has the rest.
        box: top, left, height and width, in pixels, of what the partner gives; None: it is blended
            in everywhere.
    """

    share: float
    box: tuple[int, int, int, int] | None = None


def draw_mix(
    phase: Phase, frame: tuple[int, int], *, seed: int, step: int, group: int
) -> Mix | None:
    """How the phase mixes this group at this step; None where it mixes nothing.

    Shares are Beta(alpha, alpha). A box has the frame's aspect and lies anywhere in it; the share
    is then that of its whole pixels.

    Args:
        frame: height and width of the input, pixels.
    """
    if not (phase.mixup or phase.cutmix):
        return None
    # The spawn key keeps these draws apart from the samples' and from dropout's.
    rng = np.random.default_rng(np.random.SeedSequence((seed, step, group), spawn_key=(0, 1)))
    blends = bool(phase.mixup) and not (phase.cutmix and rng.integers(2))
    alpha = phase.mixup if blends else phase.cutmix
    share = float(rng.beta(alpha, alpha))
    if blends:
        return Mix(share)
    height, width = (round(side * float(np.sqrt(1 - share))) for side in frame)
    top, left = (int(rng.integers(frame[0] - height + 1)), int(rng.integers(frame[1] - width + 1)))
    return Mix(1 - height * width / (frame[0] * frame[1]), (top, left, height, width))


def mixed(mix: Mix, videos: Tensor) -> Tensor:
    """Videos (b,T,C,H,W), bytes -> the same mixed, bytes or floats in 0..255.

    A stream without pixels stays as it is.
    """
    partners = videos.roll(1, 0)
    if mix.box is None:
        return videos.float().lerp_(partners.float(), 1 - mix.share)
    top, left, height, width = mix.box
    rows, columns = slice(top, top + height), slice(left, left + width)
    videos = videos.clone()
    videos[..., rows, columns] = partners[..., rows, columns]
    return videos


def mixed_targets(mix: Mix, truth: Tensor, num_classes: int) -> Tensor:
    """Class indices (b,) -> shares of all K classes (b,K), float32."""
    classes = F.one_hot(truth, num_classes).float()
    return mix.share * classes + (1 - mix.share) * classes.roll(1, 0)
