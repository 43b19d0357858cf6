"""A network from a model's folder or the Hugging Face hub, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from torch import nn

from stresnet.device import gpu_errors, resolve_device
from stresnet.errors import UsageError, WeightsError
from stresnet.model.hub import push_folder
from stresnet.model.lookup import find_model
from stresnet.model.model_folder import CONFIG, WEIGHTS, Bits, read_model_folder, write_model_folder
from stresnet.model.state import NothingDrawn, fit


class Pretrained(nn.Module):
    """What `STResNet` holds in addition to its weights, and how both are loaded and saved."""

    config: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.class_names: tuple[str, ...] = ()
        self.preparation: dict[str, Any] = {}
        self.timeline: dict[str, Any] = {}
        self.card = ""

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device = "auto",
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a trained network, in eval mode; `stresnet.load_model` is the same function.

        Args:
            source: a model folder; or, as a string, the name of a model that ships ("fight"), or
                "OWNER/NAME" on the Hugging Face hub (see `stresnet.model.lookup`).
            device: "auto" (the first GPU, or the CPU where there is none), "cpu", "cuda", "cuda:N".
            revision: branch, tag or commit on the hub.
            token: for private models on the hub; None is that of `hf auth login`.
            cache_dir: where the hub's models are kept; None is Hugging Face's own cache.
            local_files_only: take the hub's model from that cache, without network access.

        Raises:
            WeightsError: there is no such model, a file of it is missing or damaged, or its tensors
                do not fit the network.
            EnvironmentProblem: huggingface_hub is not installed, the hub cannot be reached, or this
                machine has no such device, or it is out of memory, busy or gone.
            UsageError: `revision` was given for a folder, or there is no device of such a name.
        """
        on = resolve_device(device)
        folder = find_model(
            source,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        config, tensors, card = read_model_folder(folder)
        try:
            with NothingDrawn():
                net = cls(**config["architecture"])
        except (TypeError, ValueError, UsageError) as error:
            raise WeightsError(
                f"{folder / CONFIG}: no network can be built from it ({error})",
                remedy="use a matching stresnet version",
            ) from error
        fit(net, tensors, source=folder / WEIGHTS)
        net.class_names, net.preparation = tuple(config["class_names"]), config["preparation"]
        net.timeline, net.card = config.get("timeline", {}), card
        with gpu_errors(on, "the network", lower="a smaller model"):
            return net.to(on).eval()

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        class_names: Sequence[str] | None = None,
        preparation: dict[str, Any] | None = None,
        card: str | None = None,
        bits: Bits = 32,
    ) -> None:
        """Write a model folder, which `from_pretrained` reads.

        None keeps what the network already has.

        Args:
            folder: created if it does not exist.
            class_names: K different names, in the order of the logits.
            preparation: how videos become this network's input (frame size, flow, quantisation).
            card: README.md: data, recipe, measured accuracy.
            bits: per number in convolutions and classifiers: 32, as they are; 16, which halves the
                file; or 8, which quarters it (`in_8_bits`).

        Raises:
            UsageError: class_names are not K different names.
            WeightsError: a weight is not finite (in 16 bits, if asked).
            EnvironmentProblem: the folder cannot be written.
        """
        config = {
            "architecture": self.config,
            "class_names": list(self.class_names if class_names is None else class_names),
            "preparation": self.preparation if preparation is None else preparation,
            **({"timeline": self.timeline} if self.timeline else {}),
        }
        card = self.card if card is None else card
        write_model_folder(Path(folder), config, self.state_dict(), card, bits=bits)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | bool | None = None,
        bits: Bits = 32,
    ) -> str:
        """Upload the network, with its class names and its card, to the Hugging Face hub.

        For more, such as branches, use `hf upload` with a folder from `save_pretrained`.

        Args:
            repo_id: "OWNER/NAME"; created if it does not exist.
            private: whether a new repository is private.
            token: for the hub; None is that of `hf auth login`.
            bits: as in `save_pretrained`.

        Returns:
            The URL of the commit.

        Raises:
            UsageError: `repo_id` is not of that form, or `class_names` are not K different names.
            WeightsError: a weight is not finite (in 16 bits, if asked).
            EnvironmentProblem: huggingface_hub is not installed, or the hub refuses or cannot be
                reached.
        """
        with TemporaryDirectory(prefix="stresnet-") as folder:
            self.save_pretrained(folder, bits=bits)
            return push_folder(Path(folder), repo_id, private=private, token=token)
