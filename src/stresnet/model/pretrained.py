"""A trained network from a model folder, here or on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import torch

from stresnet.device import resolve_device
from stresnet.errors import UsageError, WeightsError
from stresnet.model.hub import local_folder
from stresnet.model.model_folder import CONFIG, WEIGHTS, read_model_folder
from stresnet.model.st_resnet import STResNet
from stresnet.model.weights import fit


def load_model(
    source: str | Path,
    *,
    device: str | torch.device = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
) -> STResNet:
    """The network saved by `STResNet.save_pretrained`, on a device and in eval mode.

    It carries `.class_names`, `.preparation` and `.card`.

    Args:
        source: a model folder; or, as a string, "OWNER/NAME" of the hub (see `local_folder`). What
            is on this disk is never looked up.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        revision: branch, tag or commit on the hub.
        local_files_only: take the hub's model from its cache on this disk, without any network.

    Raises:
        WeightsError: a file is missing or damaged, or its tensors are not the network's; or there
            is no such model.
        EnvironmentProblem: huggingface_hub is not installed, the hub cannot be reached, or
            this machine has no such device.
        UsageError: `revision` was given for a folder, or there is no device of such a name.
    """
    on = resolve_device(device)
    folder = local_folder(source, revision=revision, local_files_only=local_files_only)
    stored = read_model_folder(folder)
    try:
        net = STResNet(**stored.architecture)
    except (TypeError, ValueError, UsageError) as error:
        raise WeightsError(
            f"{folder / CONFIG}: no network can be built of it ({error})",
            remedy="use a matching stresnet version",
        ) from error
    fit(net, stored.state, source=folder / WEIGHTS)
    net.class_names = stored.class_names
    net.preparation = stored.preparation
    net.card = stored.card
    return net.to(on).eval()
