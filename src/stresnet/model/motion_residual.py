"""Eq. 2: the motion stream's residual connection into the appearance stream.

    x^a_{l+1} = f(x^a_l) + F(x^a_l + f(x^m_l), W^a_l)

x is a sum before f. Motion enters at the second residual unit of conv2_x .. conv5_x: four
connections. The branch sees it; the shortcut does not, so motion never joins the appearance trunk
by itself. (The authors' code agrees: their sum takes x^a before its ReLU, and feeds only the unit's
first 1x1.)

Each function below says what enters that unit in both streams. The others are the paper's ablations
(section 3.2), its successor ST-MulNet's product, and two separate streams.

                      appearance                            motion
    motion_residual   shortcut          branch              shortcut   branch
    "appearance"      f(x_a)            x_a + f(x_m)        f(x_m)     f(x_m)
    "bidirectional"   f(x_a)            x_a + f(x_m)        f(x_m)     x_m + f(x_a)
    "direct"          f(x_a + f(x_m))   f(x_a + f(x_m))     f(x_m)     f(x_m)
    "multiplicative"  f(x_a)            x_a * f(x_m)        f(x_m)     f(x_m)
    None              f(x_a)            f(x_a)              f(x_m)     f(x_m)

Filters that were trained apart have never seen such sums, so at first Eq. 2 breaks the networks
that it joins. `MotionConnection` can therefore go from the last row, s = 0, to any other, s = 1, by
a learnt factor s that starts at 0 (ours, not the paper's):

    branch = (1 - s) f(x_a) + s (x_a + f(x_m))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MotionResidual = Literal["appearance", "bidirectional", "direct", "multiplicative"] | None
ResidualScale = Literal["none", "stage", "channel"]


class Entrance(NamedTuple):
    """What enters a residual unit; each (B*T, C, H, W)."""

    shortcut: Tensor
    branch: Tensor


# Of x_a, x_m, f(x_a) and f(x_m): what enters the unit in the appearance and in the motion stream.
Connection = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Entrance, Entrance]]


def into_appearance(
    x_a: Tensor, x_m: Tensor, f_a: Tensor, f_m: Tensor
) -> tuple[Entrance, Entrance]:
    """Eq. 2."""
    return Entrance(f_a, x_a + f_m), Entrance(f_m, f_m)


def into_both(x_a: Tensor, x_m: Tensor, f_a: Tensor, f_m: Tensor) -> tuple[Entrance, Entrance]:
    """Eq. 2 and its mirror image."""
    return Entrance(f_a, x_a + f_m), Entrance(f_m, x_m + f_a)


def into_trunk(x_a: Tensor, x_m: Tensor, f_a: Tensor, f_m: Tensor) -> tuple[Entrance, Entrance]:
    """A direct connection between identical layers: the motion stays in the appearance trunk."""
    joined = F.relu(x_a + f_m)
    return Entrance(joined, joined), Entrance(f_m, f_m)


def as_gate(x_a: Tensor, x_m: Tensor, f_a: Tensor, f_m: Tensor) -> tuple[Entrance, Entrance]:
    """The product in place of Eq. 2's sum (Feichtenhofer et al., CVPR 2017)."""
    return Entrance(f_a, x_a * f_m), Entrance(f_m, f_m)


def separate(x_a: Tensor, x_m: Tensor, f_a: Tensor, f_m: Tensor) -> tuple[Entrance, Entrance]:
    """No connection: Eq. 1 in both streams."""
    return Entrance(f_a, f_a), Entrance(f_m, f_m)


CONNECTIONS: dict[MotionResidual, Connection] = {
    "appearance": into_appearance,
    "bidirectional": into_both,
    "direct": into_trunk,
    "multiplicative": as_gate,
    None: separate,
}


class MotionConnection(nn.Module):
    """One stage's motion residual, in full or scaled by learnt factors.

    Args:
        kind: one of `CONNECTIONS`.
        scale: "none": as in the paper, without parameters. "stage": one factor; "channel": one for
            each channel. Factors start at 0, where the streams are separate.
        channels: C.
    """

    scale: nn.Parameter | None

    def __init__(self, kind: MotionResidual, scale: ResidualScale, channels: int) -> None:
        super().__init__()
        self.connect = CONNECTIONS[kind]
        learns = scale != "none" and kind is not None
        factors = 1 if scale == "stage" else channels
        self.scale = nn.Parameter(torch.zeros(factors, 1, 1)) if learns else None

    def forward(self, x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
        """x_a and x_m, (B*T, C, H, W), before f -> what enters the unit in both streams."""
        f_a, f_m = F.relu(x_a), F.relu(x_m)
        into_a, into_m = self.connect(x_a, x_m, f_a, f_m)
        if self.scale is None:
            return into_a, into_m
        s = self.scale.to(x_a.dtype)
        return _between(f_a, into_a, s), _between(f_m, into_m, s)


def _between(apart: Tensor, connected: Entrance, s: Tensor) -> Entrance:
    """Blend the branch from `apart`, bit for bit where s is 0, to `connected`, where s is 1."""
    if connected.branch is apart:  # nothing enters this stream
        return connected
    branch = torch.lerp(apart, connected.branch, s)
    if connected.shortcut is connected.branch:  # "direct"; else the shortcut has no motion in it
        return Entrance(branch, branch)
    return Entrance(connected.shortcut, branch)
