"""Other colours and another speed for a training video, the same in all its chunks.

Neither is the paper's. Both are drawn once a video, so that nothing that is constant in time comes
to change in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

ZERO_FLOW = 128  # the byte of 0 px per frame
GREY = (0.299, 0.587, 0.114)  # of R, G, B (ITU-R BT.601)


@dataclass(frozen=True)
class Colours:
    """Factors on a video's colours; 1 leaves them as they are."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def draw_colours(jitter: float, rng: np.random.Generator) -> Colours:
    """Three factors, each uniform on [1 - jitter, 1 + jitter]."""
    return Colours(*rng.uniform(1 - jitter, 1 + jitter, size=3))


def coloured(rgb: Tensor, colours: Colours) -> Tensor:
    """(T,3,H,W) uint8 -> the same, its colours changed, rounded and kept within 0..255.

    Saturation moves each pixel away from its own grey, contrast all away from the mean grey of the
    whole video; together with brightness that is one linear map of a pixel's colour.
    """
    if colours == Colours() or rgb.numel() == 0:
        return rgb
    weights = torch.tensor(GREY)
    mean = (rgb.mean((0, 2, 3), dtype=torch.float32) * weights).sum()
    greying = (1 - colours.saturation) * weights.expand(3, 3)
    mixing = colours.contrast * (colours.saturation * torch.eye(3) + greying)  # (3,3), out x in
    shift = (1 - colours.contrast) * mean
    changed = torch.einsum("oi,tihw->tohw", colours.brightness * mixing, rgb.float())
    return changed.add_(colours.brightness * shift).round_().clamp_(0, 255).to(torch.uint8)


def draw_speed(jitter: float, rng: np.random.Generator) -> float:
    """A factor from 1 / (1 + jitter) to 1 + jitter, as likely to halve a speed as to double it."""
    bound = np.log1p(jitter)
    return float(np.exp(rng.uniform(-bound, bound)))


def sped_up(flow: Tensor, speed: float) -> Tensor:
    """Quantised flow (..., H, W) uint8, `speed` times as fast, rounded and kept within 0..255."""
    if speed == 1.0:
        return flow
    levels = ZERO_FLOW + speed * (np.arange(256) - ZERO_FLOW)
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return torch.from_numpy(table[flow.numpy()])
