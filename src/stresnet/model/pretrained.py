"""A trained network from a model folder."""

from __future__ import annotations

from pathlib import Path

from stresnet.errors import UsageError, WeightsError
from stresnet.model.model_folder import CONFIG, WEIGHTS, read_model_folder
from stresnet.model.st_resnet import STResNet
from stresnet.model.weights import fit


def load_model(folder: str | Path) -> STResNet:
    """The network saved by `STResNet.save_pretrained`, on the CPU and in eval mode.

    It carries `.class_names` and `.preparation`.

    Raises:
        WeightsError: a file is missing or damaged, or its tensors are not the network's.
    """
    folder = Path(folder)
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
    return net.eval()
