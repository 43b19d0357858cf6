"""Which places and chunks of a video speak for a class: its exact class activation map.

What is explained is the margin of class c: its unnormalised score above the mean of the other
classes', for two classes the log-odds. (A score alone also holds what raises every class, which no
softmax sees.)

Behind conv5_x each stream rectifies, averages over space, perhaps takes a maximum over time, and
classifies linearly. All but the bias is homogeneous of degree one, so Euler's theorem splits the
margin, whatever the pool over time (none, "pool5", "conv5"), over the places (i, j) of conv5_x's
maps x and the chunks t:

    margin = bias + sum_{t,i,j} e(t,i,j),     e(t,i,j) = sum_k x_k(t,i,j) d margin / d x_k(t,i,j)

Without a pool over time this is the class activation map of Zhou et al. (CVPR 2016). A maximum over
time gives a channel's evidence to the one chunk it took. Grad-CAM (Selvaraju et al., ICCV 2017)
would average the gradient over each map, and so over chunks of which the maximum took none, and cut
off what speaks against the class; it does not add up. The product taken place by place is what
Draelos and Carin (2020) call HiResCAM.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stresnet.data.loading.dataset import FramesAndFlow, testing_size
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.protocols import PAPER, views
from stresnet.model import STResNet
from stresnet.model.receptive_field import receptive_fields

Floats = NDArray[np.float64]
Places = NDArray[np.float64] | NDArray[np.int64]

STREAMS = ("appearance", "motion")  # the order of every first axis of length 2


@dataclass(frozen=True)
class Evidence:
    """The margin of one class, split up; both streams count half, as in the fused score.

    Attributes:
        bias: (2,) of each stream's classifier.
        maps: (2,T,h,w) of each stream, chunk and place of conv5_x.
    """

    bias: NDArray[np.float64]
    maps: NDArray[np.float64]


def margin_weights(classes: int, index: int) -> NDArray[np.float32]:
    """(K,) weights whose product with the scores is the margin of class `index`."""
    weights = np.full(classes, -1 / max(classes - 1, 1), np.float32)
    weights[index] = 1
    return weights


def margin_of(scores: VideoScores, index: int) -> float:
    """The margin of class `index` in the fused scores."""
    return float(scores.fused @ margin_weights(len(scores.fused), index))


def fixed(net: STResNet) -> STResNet:
    """A copy for looking into: no dropout, running moments, gradients for inputs only."""
    return copy.deepcopy(net).eval().requires_grad_(False)


def evidence(net: STResNet, video: FramesAndFlow, index: int) -> Evidence:
    """Split up the margin of class `index`, seen by the paper's protocol, mirror image included.

    Raises:
        StoreError: the video is damaged.
    """
    net = fixed(net)
    weights = torch.from_numpy(margin_weights(net.config["num_classes"], index))
    weights = weights.to(net.appearance.mean.device) / len(STREAMS)
    conv5 = _taps(net)
    seen = []
    for view in views(video, PAPER, size=net.config["input_size"]):
        conv5.clear()
        logits = net(view.rgb[None].to(weights.device), view.flow[None].to(weights.device))
        margin = sum(scores.mean((0, 1)) @ weights for scores in logits)
        gradients = torch.autograd.grad(margin, conv5)
        seen.append(
            torch.stack([(x * g).sum(1) for x, g in zip(conv5, gradients, strict=True)]).detach()
        )
    seen[1] = seen[1].flip(-1)  # the mirror image's map, turned back
    biases = [stream.classifier.bias @ weights for stream in (net.appearance, net.motion)]
    return Evidence(
        bias=torch.stack(biases).double().cpu().numpy(),
        maps=torch.stack(seen).double().mean(0).cpu().numpy(),
    )


def _taps(net: STResNet) -> list[Tensor]:
    """A list that each forward pass appends conv5_x's sums to, appearance first, as leaves."""
    leaves: list[Tensor] = []

    def tap(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    for stream in (net.appearance, net.motion):
        stream.conv5_x[-1].register_forward_hook(tap)
    return leaves


def cell_centres(net: STResNet, height: int, width: int) -> tuple[Floats, Floats]:
    """Rows (h,) and columns (w,) of the cells' centres in a frame, as fractions of its sides.

    A centre is that of the receptive field: He et al.'s network sees around pixel 32 i + 2,
    torchvision's around 32 i, well left of and above the middle of the i-th 32 pixels. Columns are
    averaged with the mirror image's, which lie as far to the right; that makes them symmetric.

    Args:
        height, width: of the video's frames, px.
    """
    stream = net.appearance
    stride = receptive_fields(net)["conv5_x"].stride
    tested = testing_size(height, width, net.config["input_size"])
    down, right = (stride * np.arange(stream.conv5_side(side)) for side in tested)
    first = 2 if stream.stride_in == "1x1" else 0
    rows = (down + first + 0.5) / tested[0]
    columns = 0.5 + (right - right.mean()) / tested[1]
    return rows, columns


def between(knots: Places, places: Places) -> Floats:
    """(n, k) weights of linear interpolation from k knots to n places, the ends held.

    Knots never decrease. Equal ones share their weight.
    """
    different, of_knot = np.unique(knots.astype(np.float64), return_inverse=True)
    to_different = np.eye(len(different))[of_knot]  # (k, d)
    averaged = to_different / to_different.sum(0)
    weights = [np.interp(places, different, unit) for unit in np.eye(len(different))]
    return np.asarray(np.stack(weights, axis=1) @ averaged.T)


def over_pixels(maps: Floats, rows: Floats, columns: Floats, height: int, width: int) -> Floats:
    """(...,h,w) at `cell_centres` -> (...,height,width), a value a pixel."""
    down = between(rows, (np.arange(height) + 0.5) / height)
    right = between(columns, (np.arange(width) + 0.5) / width)
    return np.asarray(down @ maps @ right.T)
