"""Weights from elsewhere: from ImageNet, the authors, or the phase before.

Every loader checks all names and shapes before it changes anything, so a network is loaded as a
whole or left as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stresnet.errors import WeightsError
from stresnet.model.key_mapping import split_streams, to_our_names
from stresnet.model.st_resnet import STResNet
from stresnet.model.state import fit
from stresnet.model.stream import Stream
from stresnet.model.temporal_convolution import TemporalInit, deflate
from stresnet.model.weight_files import read_tensors

CLASSIFIER = ("classifier.weight", "classifier.bias")
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)  # of pixels 0 to 255, red, green, blue
CONNECTIONS = "connections."  # of an STResNet: learnt factors of motion residuals


def load_imagenet(net: STResNet | Stream, path: str | Path) -> None:
    """Start one stream, or both, from a ResNet trained on ImageNet (section 3.1).

    The classifier stays as it is. A motion stream's conv1 gets the mean over the three RGB filters
    for each of its 2L channels, not rescaled, as in the authors' code. Temporal convolutions are
    inflated (Eq. 5). Filters that learned from pixels divided by their standard deviation, such as
    torchvision's and timm's, are divided by it too, and need the stride where they had it, in the
    3x3 convolution.

    Args:
        net: of the same depth as the file; or "small", for the file of a ResNet-50.
        path: .safetensors, .pth, .pt, .npz or .mat, with torchvision's or Caffe's names.

    Raises:
        WeightsError: the file cannot be used, or holds another network; nothing is loaded.
        EnvironmentProblem: scipy, which a .mat file needs, is not installed.
    """
    path = Path(path)
    tensors = read_tensors(path)
    ours = to_our_names(tensors, path)
    for name in CLASSIFIER:
        ours.pop(name, None)
    of_caffe = "conv1_filter" in tensors
    streams = (net.appearance, net.motion) if isinstance(net, STResNet) else (net,)
    if not of_caffe and _learned_from_unit_variance(ours):
        if any(stream.stride_in == "1x1" for stream in streams):
            raise WeightsError(
                f"{path}: its filters are those of torchvision or timm, which stride in the 3x3 "
                "convolution; the network strides in the 1x1, as the paper's",
                remedy='build it with stride_in="3x3"; a recipe file says stride_in = "3x3"',
            )
        deviation = torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1)
        ours["conv1.weight"] = ours["conv1.weight"] / deviation
    for stream in streams:
        part = _first_layers(ours, path) if stream.depth == "small" else ours
        conv1 = _to_channels(part.get("conv1.weight"), stream.conv1.in_channels)
        fit(stream, part | conv1, source=path, keep=CLASSIFIER)


def _learned_from_unit_variance(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a ResNet's inputs were divided by their deviation, or ranged from -128 to 128.

    The variance that conv1's BatchNorm has seen is about the energy of its filters times that of
    the inputs: 1, or some 60^2.
    """
    filters, variance = tensors.get("conv1.weight"), tensors.get("bn1.running_var")
    if filters is None or variance is None or filters.shape[1:2] != (3,):
        return False
    return bool(variance.sum() < 60 * filters.square().sum())


def load_matconvnet(net: STResNet | Stream, path: str | Path) -> None:
    """Load a network released by the authors (MatConvNet DagNN, .mat), with its classifiers.

    Args:
        net: an STResNet for a two-stream or ST-ResNet file, a Stream for a base network. The
            released ST-ResNet* pools time after "conv5". A two-stream file is inflated into an
            ST-ResNet (Eq. 5).
        path: the .mat file (or its parameters in any other kind of file, by the same names).

    Raises:
        WeightsError: the file cannot be used, or holds another network; nothing is loaded.
        EnvironmentProblem: scipy is not installed.
    """
    path = Path(path)
    tensors = read_tensors(path)
    streams = split_streams(tensors, path)
    if (streams is not None) != isinstance(net, STResNet):
        raise WeightsError(
            f"{path}: holds {'one stream' if streams is None else 'two streams'}, "
            f"expected {'two' if streams is None else 'one'}",
            remedy="load two streams into an STResNet, one into net.appearance or net.motion",
        )
    if streams is None:
        fit(net, to_our_names(tensors, path), source=path)
        return
    state = {
        f"{stream}.{name}": tensor
        for stream, part in streams.items()
        for name, tensor in to_our_names(part, path).items()
    }
    fit(net, state, source=path)


def inflate_from(
    net: STResNet | Stream,
    state: Mapping[str, Tensor],
    *,
    new_classifiers: bool = False,
    temporal_init: TemporalInit = "average",
    source: str | Path = "the network before",
) -> None:
    """Start from another network of ours, such as the phase before's, by its state_dict `state`.

    Two streams into ST-ResNet: 1x1 filters become temporal ones (Eq. 5), and learnt factors of
    motion residuals, if `net` has any, start at 0. ST-ResNet into ST-ResNet*: the same tensors,
    since a pool has none. ST-ResNet into single streams, to start from another data set: temporal
    filters become their sums over time (Eq. 5 undone), and factors of motion residuals are left
    out.

    Args:
        new_classifiers: keep the classifiers of `net`, because `state` has other classes.
        temporal_init: how 1x1 filters become temporal ones (see `inflate`).
        source: where `state` comes from, for error messages.

    Raises:
        WeightsError: `state` is of another network; nothing is loaded.
    """
    names = net.state_dict()
    keep = [name for name in names if name.startswith(CONNECTIONS)]
    state = {
        name: deflate(tensor) if name in names and names[name].ndim > tensor.ndim == 3 else tensor
        for name, tensor in state.items()
        if name in names or not name.startswith(CONNECTIONS)
    }
    if new_classifiers:
        classifiers = [name for name in names if "classifier" in name]
        state = {name: tensor for name, tensor in state.items() if name not in classifiers}
        keep += classifiers
    fit(net, state, source=source, keep=keep, temporal_init=temporal_init)


def _first_layers(resnet50: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of the small network, from a ResNet-50's; those of other networks are refused.

    Raises:
        WeightsError: these are not the tensors of a ResNet-50.
    """
    with torch.device("meta"):  # shapes alone
        whole, small = (
            Stream(3, 1, depth, mean=0.0, temporal_convolutions=False) for depth in (50, "small")
        )
    fit(whole, resnet50, source=path, keep=CLASSIFIER)
    return {name: resnet50[name] for name in small.state_dict() if name in resnet50}


def _to_channels(conv1: Tensor | None, channels: int) -> dict[str, Tensor]:
    """Cross-modality initialisation: RGB's mean filter for every flow channel, not rescaled."""
    if conv1 is None or conv1.ndim != 4 or conv1.shape[1] == channels:
        return {}
    return {"conv1.weight": conv1.float().mean(1, keepdim=True).repeat(1, channels, 1, 1)}
