"""Which places and chunks of a video speak for a class: its exact class activation map.

The margin of class c is explained: its unnormalised score above the mean of the other classes'. For
two classes it is their log-odds. (A score alone also holds what raises every class, which no
softmax sees.)

After conv5_x each stream rectifies, averages over space, perhaps takes a maximum over time, and
classifies linearly. Everything but the bias is homogeneous of degree one. So Euler's theorem splits
the margin, for any pool over time (none, "pool5", "conv5"), into parts of the places (i, j) of
conv5_x's maps x and of the chunks t:

    margin = bias + sum_{t,i,j} e(t,i,j),     e(t,i,j) = sum_k x_k(t,i,j) d margin / d x_k(t,i,j)

Without a pool over time this is the class activation map of Zhou et al. (CVPR 2016). A maximum over
time gives a channel's evidence to the one chunk that it took. Grad-CAM (Selvaraju et al., ICCV
2017) would average the gradient over each map, and so over chunks that the maximum did not take,
and cut off what speaks against the class; its parts do not add up. Draelos and Carin (2020) call
the product taken place by place HiResCAM.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stresnet.data.loading.chunks import FramesAndFlow, testing_size
from stresnet.errors import UsageError, in_short
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.protocols import Protocol, views
from stresnet.model import STResNet
from stresnet.model.receptive_field import receptive_fields

Floats = NDArray[np.float64]
Places = NDArray[np.float64] | NDArray[np.int64]

STREAMS = ("appearance", "motion")  # the order of every first axis of length 2


def class_index(net: STResNet, label: str) -> int:
    """Return the place of a class among the network's.

    Raises:
        UsageError: the network has no class of that name.
    """
    if label not in net.class_names:
        known = in_short(net.class_names)
        raise UsageError(f"the network has no class {label!r}", remedy=f"choose from: {known}")
    return net.class_names.index(label)


def margin_weights(classes: int, index: int) -> NDArray[np.float32]:
    """Return (K,) weights whose product with the scores is the margin of class `index`."""
    weights = np.full(classes, -1 / max(classes - 1, 1), np.float32)
    weights[index] = 1
    return weights


def margin_of(scores: VideoScores, index: int) -> float:
    """Return the margin of class `index` in the fused scores."""
    return float(scores.fused @ margin_weights(len(scores.fused), index))


def fixed(net: STResNet) -> STResNet:
    """Return a copy to look into: no dropout, running moments, gradients for inputs only."""
    return copy.deepcopy(net).eval().requires_grad_(False)


def evidence(
    net: STResNet, video: FramesAndFlow, index: int, protocol: Protocol
) -> tuple[Floats, Floats]:
    """Split up the margin of class `index`; both streams count half, as in the fused score.

    Args:
        protocol: of whole frames: `quick`, or `paper` with its mirror image.

    Returns:
        (2,), each stream's classifier's bias, and (2,T,h,w), the evidence of each stream, chunk and
        place of conv5_x.

    Raises:
        StoreError: the video is damaged.
    """
    net = fixed(net)
    weights = torch.from_numpy(margin_weights(net.config["num_classes"], index))
    weights = weights.to(net.device) / len(STREAMS)
    conv5 = _taps(net)
    seen = []
    for view in views(video, protocol, size=net.config["input_size"], device=net.device):
        conv5.clear()
        logits = net(view.rgb[None], view.flow[None])
        margin = sum(scores.mean((0, 1)) @ weights for scores in logits)
        gradients = torch.autograd.grad(margin, conv5)
        seen.append(
            torch.stack([(x * g).sum(1) for x, g in zip(conv5, gradients, strict=True)]).detach()
        )
    if protocol.mirrored:
        seen[1] = seen[1].flip(-1)
    biases = [stream.classifier.bias @ weights for stream in (net.appearance, net.motion)]
    bias = torch.stack(biases).double().cpu().numpy()
    return bias, torch.stack(seen).double().mean(0).cpu().numpy()


def _taps(net: STResNet) -> list[Tensor]:
    """Return a list; each forward pass appends conv5_x's sums as leaves: appearance, motion."""
    leaves: list[Tensor] = []

    def tap(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    for stream in (net.appearance, net.motion):
        list(stream.stages)[-1][-1].register_forward_hook(tap)
    return leaves


def cell_centres(net: STResNet, height: int, width: int) -> tuple[Floats, Floats]:
    """Return rows (h,) and columns (w,) of the cells' centres, as fractions of the frame's sides.

    A centre is that of the receptive field: He et al.'s network sees around pixel 32 i + 2,
    torchvision's around 32 i, well left of and above the middle of the i-th 32 pixels. Columns are
    averaged with the mirror image's, which lie as far to the right, so that they are symmetric.

    Args:
        height, width: of the video's frames, in pixels.
    """
    stream = net.appearance
    stride = receptive_fields(net)["pool5"].stride
    tested = testing_size(height, width, net.config["input_size"])
    down, right = (stride * np.arange(stream.conv5_side(side)) for side in tested)
    first = 2 if stream.stride_in == "1x1" else 0
    rows = (down + first + 0.5) / tested[0]
    columns = 0.5 + (right - right.mean()) / tested[1]
    return rows, columns


def between(knots: Places, places: Places) -> Floats:
    """Return (n, k) weights of linear interpolation from k knots to n places; the ends are held.

    Knots never decrease. Equal ones share their weight.
    """
    different, of_knot = np.unique(knots.astype(np.float64), return_inverse=True)
    to_different = np.eye(len(different))[of_knot]  # (k, d)
    averaged = to_different / to_different.sum(0)
    weights = [np.interp(places, different, unit) for unit in np.eye(len(different))]
    return np.asarray(np.stack(weights, axis=1) @ averaged.T)


def over_pixels(maps: Floats, rows: Floats, columns: Floats, height: int, width: int) -> Floats:
    """(...,h,w) at `cell_centres` -> (...,height,width), one value for each pixel."""
    down = between(rows, (np.arange(height) + 0.5) / height)
    right = between(columns, (np.arange(width) + 0.5) / width)
    return np.asarray(down @ maps @ right.T)
