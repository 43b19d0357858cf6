"""What is measured while training: loss and accuracy of each stream, and of both together.

A group's measures stay on the device, as one vector of sums over its videos, so that a step waits
for the device once and not once a number:

    videos, loss, one (loss, accuracy) a stream, and (loss, accuracy) of their sum where both learn
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


@torch.no_grad()
def group_measures(loss: Tensor, scores: dict[str, Tensor], truth: Tensor) -> Tensor:
    """(M,) float64 sums over the group's videos.

    Args:
        loss: what is trained on, summed over the group's videos.
        scores: (b,T',K) of each stream.
        truth: (b,) class indices.
    """
    clips = [logits.float().mean(1) for logits in scores.values()]  # (b,K) each
    if len(clips) > 1:
        clips.append(torch.stack(clips).sum(0))
    sums = [torch.full((), len(truth), device=loss.device), loss]
    for logits in clips:
        sums.append(cross_entropy(logits, truth, reduction="sum"))
        sums.append((logits.argmax(1) == truth).sum())
    return torch.stack([value.double() for value in sums])


def number_of_measures(streams: Sequence[str]) -> int:
    """M."""
    return 2 + 2 * (len(streams) + (len(streams) > 1))


def mean_measures(totals: Tensor, streams: Sequence[str]) -> dict[str, float]:
    """Sums (M,) over all groups of a step -> means over its videos, by name."""
    videos, *sums = totals.tolist()
    heads = [*streams, "fused"] if len(streams) > 1 else streams
    names = ["loss", *(f"{head}_{what}" for head in heads for what in ("loss", "accuracy"))]
    return {name: value / videos for name, value in zip(names, sums, strict=True)}
