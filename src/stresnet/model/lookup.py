"""How models and weights are named: a path, what ships with stresnet, or a name on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Unpack

from stresnet.errors import UsageError, WeightsError, in_short
from stresnet.files import ASSETS
from stresnet.model.hub import HUB_ID, HubOptions, download_file, download_folder
from stresnet.model.model_folder import CONFIG, WEIGHTS
from stresnet.model.weight_files import READERS

HUB_FILE = re.compile(rf"({HUB_ID.pattern})(?:/([\w./-]+))?", re.ASCII)
SHIPPED = ASSETS / "models"


def shipped_models() -> tuple[str, ...]:
    """Return the names of the models that ship with stresnet; `load_model` takes each of them."""
    return tuple(sorted(config.parent.name for config in SHIPPED.glob(f"*/{CONFIG}")))


def find_model(source: str | Path, **options: Unpack[HubOptions]) -> Path:
    """Return a model's folder, after downloading it if it is on the hub.

    The first that exists is taken:

        a model folder              "runs/mine/st_resnet_star"; a `Path` is always one
        a model that ships          "fight"
        OWNER/NAME on the hub       unless OWNER is a folder here: a mistyped path asks no one

    So a model folder `fight` in the working directory is preferred to the shipped model, but any
    other folder of that name (of videos of fights, for example) is not taken for a model.

    Args:
        options: revision, token, cache_dir, local_files_only, as in `STResNet.from_pretrained`.

    Raises:
        WeightsError: there is no such model here or on the hub.
        EnvironmentProblem: huggingface_hub is not installed, or the hub cannot be reached.
        UsageError: `revision` was given for a model that is not on the hub.
    """
    folder, name = Path(source), str(source)
    if isinstance(source, str) and not (folder / CONFIG).is_file():
        if name in shipped_models():
            folder = SHIPPED / name
        elif HUB_ID.fullmatch(name) and not folder.is_dir() and not folder.parent.is_dir():
            return download_folder(name, **options)
    if (revision := options.get("revision")) is not None:
        raise UsageError(
            f"revision {revision!r} was asked of {name}, which is not a model on the hub",
            remedy="leave revision out; a folder has one state only",
        )
    if (folder / CONFIG).is_file():
        return folder
    if models := sorted(config.parent for config in folder.glob(f"*/{CONFIG}")):
        raise WeightsError(
            f"{folder}: holds several models: {in_short([model.name for model in models])}",
            remedy=f"give one of them, as {models[0]}",
        )
    raise WeightsError(
        f"{folder}: {'is not a model folder' if folder.exists() else 'no such model folder'}",
        remedy=f"give a folder that holds {WEIGHTS} and {CONFIG}, OWNER/NAME of the Hugging "
        f"Face hub, or a model that ships: {', '.join(shipped_models())}",
    )


def find_weights(weights: str | Path, **options: Unpack[HubOptions]) -> Path:
    """Return the path of weights, after downloading them if they are on the hub.

    Args:
        weights: a weight file or model folder; or, as a string, the name of a model that ships,
            "OWNER/NAME" for the model.safetensors of a repository on the hub, or "OWNER/NAME/FILE"
            for another file of it. The hub is asked only if neither the file nor OWNER exists here,
            and NAME does not end as a weight file does. The names and shapes in it are checked by
            `load_imagenet`.
        options: as in `find_model`.

    Raises:
        UsageError: a file on the hub that is not .safetensors.
        WeightsError: there is no such file here or on the hub.
        EnvironmentProblem: huggingface_hub is not installed, or the hub cannot be reached.
    """
    path, name = Path(weights), str(weights)
    if path.exists():
        return path
    if isinstance(weights, str) and name in shipped_models():
        return SHIPPED / name
    match = HUB_FILE.fullmatch(name)
    here = isinstance(weights, Path) or Path(*path.parts[:1]).is_dir()
    if here or match is None or Path(match[1]).suffix in READERS:
        raise WeightsError(
            f"{path}: no such file",
            remedy="give a weight file, or OWNER/NAME[/FILE] on the Hugging Face hub",
        )
    file = match[2] or WEIGHTS
    if not file.endswith(".safetensors"):
        raise UsageError(
            f"{weights}: no such file here, and from the hub only .safetensors files are taken",
            remedy="check the path, or download the file yourself if you trust it",
        )
    return download_file(match[1], file, **options)
