"""The parameters of TV-L1 optical flow, and three sets of values for them.

Zach, Pock and Bischof (DAGM 2007) look for the flow u = (u1, u2) from frame I0 to frame I1 that
minimises

    E(u) = ∫ |∇u1| + |∇u2| + λ |I1(x + u(x)) - I0(x)|  dx

The auxiliary field v splits it into two problems that are easy on their own:

    E(u, v) = ∫ |∇u1| + |∇u2| + 1/(2θ) |u - v|² + λ |ρ(v)|  dx

where ρ is I1(x + u) - I0(x), linearised at the flow of the last warp. v has a closed form, point
by point (a soft threshold); u is total-variation denoising of v (Chambolle's dual projection).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stresnet.errors import UsageError

# For `lazy_check=False`: how many iterations run before the change is looked at again, as a
# multiple of how many times larger than allowed it was, and at most.
HASTE = 1.5
AT_ONCE = 8
# Below this |slope|² there is nothing to follow (OpenCV's bound: float32's epsilon).
FLAT = np.finfo(np.float32).eps
# The flow that I1 is warped by is rounded to this part of a pixel. The data term is linearised
# at the rounded flow, so nothing else is lost.
PART_BITS = 6
PARTS = 1 << PART_BITS


@dataclass(frozen=True)
class TVL1Parameters:
    """How TV-L1 is solved; intensities are 0 to 255, flow is in pixels per frame.

    Attributes:
        tau: step of the dual ascent, in (0, 1/4] (Chambolle's bound).
        lambda_: weight of the data term; smaller gives a smoother flow.
        theta: tightness of the coupling |u - v|²; smaller couples closer and converges slower.
        scales: levels of the pyramid, fewer where a level would be narrower than 16 pixels.
        scale_step: size of a level relative to the next finer one, in (0, 1).
        warps: times per level that I1 is warped by the flow so far and ρ is linearised again.
        epsilon: a warp ends when the flow's root mean square change in one iteration is at most
            this, in pixels.
        iterations: the most iterations a warp takes.
        lazy_check: True, as in OpenCV's GPU code, where a sum is costly: look at that change in
            every second iteration only and, when its square was c times the allowed one, again only
            after c iterations. False: again after 1.5 c iterations, at most 8; OpenCV's CPU code
            looks every time, and stops less than one iteration sooner on average.
        median_every: iterations between two 5x5 median filters of the flow, the first of them
            before the first iteration; 0 for none.
        beyond: what I1 shows outside its border: its nearest pixel ("edge", OpenCV on a GPU) or
            0 without gradient ("black", OpenCV on the CPU; only the smoothness acts there).
        cubic: slope at 1 of the cubic that interpolates I1: -0.5 (OpenCV on a GPU, Catmull-Rom)
            or -0.75 (OpenCV on the CPU).

    Raises:
        UsageError: a value lies outside its range.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    iterations: int = 300
    lazy_check: bool = True
    median_every: int = 0
    beyond: Literal["edge", "black"] = "edge"
    cubic: float = -0.5

    def __post_init__(self) -> None:
        ranges = {
            "tau": 0 < self.tau <= 0.25,
            "lambda_": self.lambda_ > 0,
            "theta": self.theta > 0,
            "scales": self.scales >= 1,
            "scale_step": 0 < self.scale_step < 1,
            "warps": self.warps >= 1,
            "epsilon": self.epsilon >= 0,
            "iterations": self.iterations >= 1,
            "median_every": self.median_every >= 0,
            "beyond": self.beyond in ("edge", "black"),
            "cubic": -1 <= self.cubic <= 0,
        }
        for name, fits in ranges.items():
            if not fits:
                raise UsageError(
                    f"TV-L1: {name} is {getattr(self, name)!r}, outside its range",
                    remedy="see the attributes of TVL1Parameters",
                )


# A former option, which was off. Stores and models have recorded it, and a store that does not
# record what the others of its data set do would be prepared again, for hours.
FORMER_PARAMETERS = {"tv_l1_warm_start": False}

# The defaults of OpenCV 2.4's gpu::OpticalFlowDual_TVL1_GPU, which the authors' gpu_flow runs
# unchanged (gpu_flow at 32548bc, lines 141 and 304-306).
AUTHORS = TVL1Parameters()

# The defaults of OpenCV 4's cv::optflow::DualTVL1OpticalFlow on the CPU: 10 outer iterations, each
# a 5x5 median filter and 30 inner iterations.
OPENCV_CPU = TVL1Parameters(lazy_check=False, median_every=30, beyond="black", cubic=-0.75)

# For live use: a fifth of AUTHORS' work; docs/decisions/0005-fast-flow.md has its errors. Its
# coarsest pixel is 16 wide, AUTHORS' only 2.4: it follows faster motion.
FAST = TVL1Parameters(scale_step=0.5, warps=2, iterations=20)
