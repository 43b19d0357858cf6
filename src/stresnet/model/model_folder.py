"""A model on disk: a folder of three files, laid out as on the Hugging Face hub.

    model.safetensors    every parameter and running moment, by the network's own names
    config.json          the network's arguments, class names, how its videos were prepared, and
                         how timelines are made, where that was fitted
    README.md            the model card

Nothing in it is code, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors.torch import save_file
from torch import Tensor

from stresnet.errors import UsageError, WeightsError
from stresnet.files import atomic_write, write_text
from stresnet.model.weight_files import in_8_bits, read_tensors

# Former arguments, each with the only value that networks were trained with.
FORMER: Mapping[str, Any] = {"norm_group": None, "rgb_std": [1.0, 1.0, 1.0]}
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
FORMAT = 1
Bits = Literal[32, 16, 8]


def write_model_folder(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor], card: str, *, bits: Bits
) -> None:
    """Write the three files, each whole or not at all.

    Args:
        config: what config.json holds, without its format.
        state: the network's state_dict.
        bits: per number in filters. Vectors (BatchNorm's and biases), which are small and
            sensitive, stay as they are.

    Raises:
        UsageError: class_names are not `num_classes` different names, or `bits` is not one of the
            choices.
        WeightsError: a tensor is not finite once stored.
        EnvironmentProblem: the folder cannot be written.
    """
    if bits not in get_args(Bits):
        raise UsageError(f"bits is {bits}; expected 32, 16 or 8")
    names, expected = config["class_names"], config["architecture"]["num_classes"]
    if len(set(names)) != len(names) or len(names) != expected:
        raise UsageError(
            f"{len(names)} class names, {len(set(names))} of them different, "
            f"expected {expected} different names",
            remedy="give one name for each logit, in their order",
        )
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stored |= _stored(name, tensor, bits)
    with atomic_write(folder / WEIGHTS) as path:
        save_file(stored, path, metadata={"format": "pt"})
    _write_config(folder, {"format": FORMAT, **config})
    write_text(folder / CARD, card)


def write_timeline_settings(folder: Path, timeline: dict[str, Any]) -> None:
    """Record in a model's config.json how its timelines are made.

    Raises:
        WeightsError: there is no model in the folder.
        EnvironmentProblem: the folder cannot be written.
    """
    _write_config(folder, _read_config(folder / CONFIG) | {"timeline": timeline})


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / CONFIG, text + "\n")


def _stored(name: str, tensor: Tensor, bits: Bits) -> dict[str, Tensor]:
    tensor = tensor.detach().cpu().contiguous()
    if bits == 16 and tensor.ndim > 1:
        tensor = tensor.half()
    if not tensor.isfinite().all():
        raise WeightsError(
            f"{name}: not every value is finite" + (" in 16 bits" if bits == 16 else ""),
            remedy="use an earlier checkpoint" + (", or save with bits=32" if bits == 16 else ""),
        )
    return in_8_bits(name, tensor) if bits == 8 and tensor.ndim > 1 else {name: tensor}


def read_model_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Read what `write_model_folder` wrote: config, tensors, and the card, empty if there is none.

    Raises:
        WeightsError: a file is missing, damaged, or of another format.
    """
    config, card = _read_config(folder / CONFIG), folder / CARD
    for name, value in FORMER.items():
        if config["architecture"].get(name, ...) == value:
            del config["architecture"][name]
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    return config, read_tensors(folder / WEIGHTS), text


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path}: no such file", remedy="give a folder written by save_pretrained"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not JSON
        raise WeightsError(f"{path}: not JSON ({error})", remedy="fetch the model again") from error
    kinds = {"architecture": dict, "class_names": list, "preparation": dict}
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else None
        raise WeightsError(
            f"{path}: format {found!r}, expected {FORMAT}", remedy="use a matching stresnet version"
        )
    if "timeline" in config:
        kinds["timeline"] = dict
    for name, kind in kinds.items():
        if not isinstance(config.get(name), kind):
            raise WeightsError(
                f"{path}: {name!r} is {config.get(name)!r}, expected a {kind.__name__}",
                remedy="fetch the model again",
            )
    names = config["class_names"]
    classes = config["architecture"].get("num_classes")
    if not all(isinstance(name, str) for name in names) or len(names) != classes:
        raise WeightsError(
            f"{path}: {len(names)} class names, expected {classes}", remedy="fetch the model again"
        )
    return config
