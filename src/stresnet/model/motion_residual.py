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
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

MotionResidual = Literal["appearance", "bidirectional", "direct", "multiplicative"] | None


class Entrance(NamedTuple):
    """What enters a residual unit; each (B*T, C, H, W)."""

    shortcut: Tensor
    branch: Tensor


Connection = Callable[[Tensor, Tensor], tuple[Entrance, Entrance]]  # of appearance, of motion


def into_appearance(x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    """Eq. 2."""
    f_m = F.relu(x_m)
    return Entrance(F.relu(x_a), x_a + f_m), Entrance(f_m, f_m)


def into_both(x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    """Eq. 2 and its mirror image."""
    f_a, f_m = F.relu(x_a), F.relu(x_m)
    return Entrance(f_a, x_a + f_m), Entrance(f_m, x_m + f_a)


def into_trunk(x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    """A direct connection between identical layers: the motion stays in the appearance trunk."""
    f_m = F.relu(x_m)
    f_a = F.relu(x_a + f_m)
    return Entrance(f_a, f_a), Entrance(f_m, f_m)


def as_gate(x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    """The product in place of Eq. 2's sum (Feichtenhofer et al., CVPR 2017)."""
    f_m = F.relu(x_m)
    return Entrance(F.relu(x_a), x_a * f_m), Entrance(f_m, f_m)


def separate(x_a: Tensor, x_m: Tensor) -> tuple[Entrance, Entrance]:
    """No connection: Eq. 1 in both streams."""
    f_a, f_m = F.relu(x_a), F.relu(x_m)
    return Entrance(f_a, f_a), Entrance(f_m, f_m)


CONNECTIONS: dict[MotionResidual, Connection] = {
    "appearance": into_appearance,
    "bidirectional": into_both,
    "direct": into_trunk,
    "multiplicative": as_gate,
    None: separate,
}
