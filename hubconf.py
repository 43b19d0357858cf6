"""Entry points of `torch.hub.load("OWNER/REPOSITORY" or a checkout, ...)`.

>>> import torch
>>> net = torch.hub.load(".", "fight_recogniser", source="local")
>>> net = torch.hub.load(".", "st_resnet", source="local", num_classes=101)
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import typing

if importlib.util.find_spec("stresnet") is None:  # a checkout that is not installed
    sys.path.append(str(pathlib.Path(__file__).parent / "src"))

if typing.TYPE_CHECKING:
    from stresnet.model import STResNet

# Modules are imported whole: torch.hub takes each function and class here for an entry point.

dependencies = ["av", "numba", "numpy", "safetensors", "torch"]


def st_resnet(
    pretrained: str | pathlib.Path | None = None,
    *,
    device: str = "cpu",
    revision: str | None = None,
    **architecture: typing.Any,
) -> STResNet:
    """A trained network from a model folder or the Hugging Face hub, or a new one.

    Args:
        pretrained: what `stresnet.load_model` takes, with `revision`; None: a new, untrained
            network.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        architecture: of a new network, the arguments of `stresnet.STResNet`; `num_classes` is
            required.

    Raises:
        UsageError: both a trained network and an architecture are given.
        All that `stresnet.load_model` and `stresnet.STResNet` raise.
    """
    from stresnet import STResNet, load_model
    from stresnet.device import resolve_device
    from stresnet.errors import UsageError

    if pretrained is None:
        return STResNet(**architecture).to(resolve_device(device))
    if architecture:
        raise UsageError(
            f"{', '.join(architecture)} was given for the trained network {pretrained}",
            remedy="leave it out; a trained network brings its own architecture",
        )
    return load_model(pretrained, device=device, revision=revision)


def fight_recogniser(device: str = "cpu") -> STResNet:
    """The two streams that ship with the package: fight or no fight in surveillance clips."""
    from stresnet import load_model

    return load_model("fight", device=device)
