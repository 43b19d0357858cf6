"""Other people's names for the layers of a ResNet -> the names of a Stream.

    ours                       torchvision, timm             Caffe, MatConvNet
    conv1.weight               conv1.weight                  conv1_filter
    bn1.weight                 bn1.weight                    bn_conv1_mult
    bn1.running_mean, _var     bn1.running_mean, _var        bn_conv1_moments
    conv3_x.1.conv2.weight     layer2.1.conv2.weight         res3b_branch2b_filter
    conv3_x.1.bn2.bias         layer2.1.bn2.bias             bn3b_branch2b_bias
    conv3_x.0.project.weight   layer2.0.downsample.0.weight  res3a_branch1_filter
    classifier.weight          fc.weight                     fc1000_filter

Caffe calls the units of a stage a, b, c, .. or, in deep stages, a, b1, b2, ... MatConvNet stores a
filter as (height, width, in, out), and a temporal one, 1x1x3, as (1, 3, in, out).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from stresnet.errors import WeightsError
from stresnet.model.sub_batch_norm import EPSILON

TORCHVISION = re.compile(r"(?:layer([1-4])\.(\d+)\.)?(conv\d|bn\d|downsample\.[01]|fc)\.(\w+)")
CAFFE = re.compile(
    r"(?:(?P<first>conv1|bn_conv1)|(?:res|bn)(?P<stage>[2-5])(?P<letter>[a-z])(?P<number>\d*)"
    r"_branch(?P<branch>1|2[abc])|(?P<classifier>fc\d*|prediction))_(?P<part>filter|mult|bias|moments)"
)
PROJECTION = {"downsample.0": "project", "downsample.1": "project_bn"}
BRANCHES = {"1": ("project", "project_bn"), "2a": ("conv1", "bn1"), "2b": ("conv2", "bn2"),
            "2c": ("conv3", "bn3")}  # fmt: skip
STREAMS = {"spatial": "appearance", "temporal": "motion"}


def to_our_names(tensors: Mapping[str, Tensor], source: object) -> dict[str, Tensor]:
    """The tensors of one ResNet under our names and in our layout.

    Raises:
        WeightsError: a name follows neither style.
    """
    if any(name.endswith("_filter") for name in tensors):
        return _from_caffe(tensors, source)
    return _from_torchvision(tensors, source)


def _from_torchvision(tensors: Mapping[str, Tensor], source: object) -> dict[str, Tensor]:
    ours = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue  # our running moments move at a fixed rate
        match = TORCHVISION.fullmatch(name)
        if match is None:
            raise _unknown(name, source)
        stage, unit, layer, part = match.groups()
        if stage:
            layer = f"conv{int(stage) + 1}_x.{unit}.{PROJECTION.get(layer, layer)}"
        ours[f"{layer.replace('fc', 'classifier')}.{part}"] = tensor
    return ours


def _from_caffe(tensors: Mapping[str, Tensor], source: object) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = CAFFE.fullmatch(name)
        if match is None:
            raise _unknown(name, source)
        layer, part = _caffe_layer(match), match["part"]
        if tensor.ndim > 4 or (part == "moments" and tensor.shape[1:] != (2,)):
            raise WeightsError(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected MatConvNet's {part}",
                remedy="fetch the file again",
            )
        if part == "filter":
            ours[f"{layer}.weight"] = _filter(tensor, is_classifier=bool(match["classifier"]))
        elif part == "moments":
            mean, sigma = tensor.unbind(1)
            ours[f"{layer}.running_mean"] = mean
            ours[f"{layer}.running_var"] = (sigma.square() - EPSILON).clamp(min=0)
        else:
            ours[f"{layer}.{'weight' if part == 'mult' else 'bias'}"] = tensor.flatten()
    return _without_conv1_bias(ours)


def _caffe_layer(match: re.Match[str]) -> str:
    is_norm = match[0].startswith("bn")
    if match["classifier"]:
        return "classifier"
    if match["first"]:
        return "bn1" if is_norm else "conv1"
    unit = int(match["number"] or ord(match["letter"]) - ord("a"))
    return f"conv{match['stage']}_x.{unit}.{BRANCHES[match['branch']][is_norm]}"


def _filter(tensor: Tensor, *, is_classifier: bool) -> Tensor:
    """(height, width, in, out) -> (out, in, height, width), (out, in, 3) or a matrix (out, in)."""
    while tensor.ndim < 4:
        tensor = tensor.unsqueeze(-1)  # MATLAB drops trailing axes of one
    tensor = tensor.permute(3, 2, 0, 1)
    if is_classifier:
        return tensor.flatten(1)
    if tensor.shape[2:] == (1, 3):
        return tensor.flatten(2)
    return tensor


def _without_conv1_bias(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Caffe's conv1 has a bias, which BatchNorm subtracts: BN(y + b; mean) = BN(y; mean - b)."""
    mean, bias = ours.get("bn1.running_mean"), ours.get("conv1.bias")
    if mean is not None and bias is not None and mean.shape == bias.shape:
        ours["bn1.running_mean"] = mean - ours.pop("conv1.bias")
    return ours


def split_streams(
    tensors: Mapping[str, Tensor], source: object
) -> dict[str, dict[str, Tensor]] | None:
    """The authors' two-stream networks: `.._spatial` and `.._temporal` -> appearance and motion.

    None if no name has such an ending: the file holds one stream.

    Raises:
        WeightsError: only some names have one.
    """
    if not any(name.endswith(("_spatial", "_temporal")) for name in tensors):
        return None
    streams: dict[str, dict[str, Tensor]] = {"appearance": {}, "motion": {}}
    for name, tensor in tensors.items():
        plain_name, _, ending = name.rpartition("_")
        if ending not in STREAMS:
            raise _unknown(name, source)
        streams[STREAMS[ending]][plain_name] = tensor
    return streams


def _unknown(name: str, source: object) -> WeightsError:
    return WeightsError(
        f"{source}: {name!r} is not a tensor of a ResNet as torchvision, timm or Caffe name them",
        remedy="use the weights of a ResNet-50, 101 or 152 with bottleneck units",
    )
