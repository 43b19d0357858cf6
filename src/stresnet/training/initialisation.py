"""A phase's network, and the weights that it starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stresnet.errors import UsageError, WeightsError
from stresnet.files import ASSETS
from stresnet.model import STResNet, find_weights, inflate_from, load_imagenet, load_model
from stresnet.model.model_folder import WEIGHTS
from stresnet.model.stream import Depth
from stresnet.model.temporal_convolution import TemporalInit
from stresnet.training.checkpoint import checkpoint_path, weights_of
from stresnet.training.recipe import Phase, Recipe

RESNET50 = ASSETS / "resnet50_imagenet.safetensors"  # tools/shipped_imagenet.py
NOISE = "none"  # given as weights: random filters, on purpose
DEFAULT_WEIGHTS: dict[Depth, Path | str] = {50: RESNET50, "small": RESNET50, "tiny": NOISE}
NETWORK_OF = {  # phase -> the model folder that holds its result
    "motion": "two_stream",
    "appearance": "two_stream",
    "st_resnet": "st_resnet",
    "st_resnet_star": "st_resnet_star",
}
BEFORE = {"st_resnet": "two_stream", "st_resnet_star": "st_resnet"}


def network(recipe: Recipe, phase: Phase, num_classes: int) -> STResNet:
    """Build the phase's network, with new filters."""
    dropout = {name: phase.dropout for name in ("appearance", "motion")}
    if phase.stream:  # each stream of the two-stream network has a phase of its own
        dropout |= {p.stream: p.dropout for p in recipe.phases if p.stream}
    return STResNet(
        num_classes,
        recipe.depth,
        input_size=recipe.input_size,
        stride_in=recipe.stride_in,
        motion_residual=None if phase.stream else recipe.motion_residual,
        residual_scale="none" if phase.stream else recipe.residual_scale,
        temporal_convolutions=recipe.temporal_convolutions and not phase.stream,
        temporal_pool=recipe.temporal_pool if phase.name == "st_resnet_star" else None,
        temporal_pool_kind=recipe.temporal_pool_kind,
        appearance_dropout=dropout["appearance"],
        motion_dropout=dropout["motion"],
    )


def find_initial_weights(weights: str | Path | None, recipe: Recipe) -> str | Path | None:
    """Find what single streams start from, after downloading it if it is on the hub.

    Args:
        weights: the file of an ImageNet ResNet; "OWNER/NAME[/FILE]" of one on the hub; a model
            folder or the name of a model that ships; `NOISE`; or None for the default, ImageNet's
            ResNet-50.

    Returns:
        A path; or `NOISE`; or None where there is no default for the recipe's depth.

    Raises:
        UsageError, WeightsError, EnvironmentProblem: as in `find_weights`.
    """
    if weights is None:
        return DEFAULT_WEIGHTS.get(recipe.depth)
    return weights if weights == NOISE else find_weights(weights)


def digest_of(weights: str | Path | None) -> str | None:
    """Return the SHA-256 of found weights: a run identifies them by content, wherever they lie."""
    if not isinstance(weights, Path):
        return weights
    with (weights / WEIGHTS if weights.is_dir() else weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_weights(
    recipe: Recipe,
    phases: Sequence[Phase],
    out: Path,
    weights: dict[str, str | Path | None],
    class_names: Sequence[str],
) -> None:
    """Raise now what `initialise` would raise after the videos are prepared.

    Args:
        weights: for each phase, by its name.

    Raises:
        UsageError, WeightsError: as in `initialise`.
    """
    made = {NETWORK_OF[phase.name] for phase in phases}
    for phase in phases:
        with torch.device("meta"):  # shapes alone
            net = network(recipe, phase, len(class_names))
        if BEFORE.get(phase.name) not in made:  # else an earlier phase writes what it starts from
            initialise(net, recipe, phase, out, weights[phase.name], class_names)


def initialise(
    net: STResNet,
    recipe: Recipe,
    phase: Phase,
    out: Path,
    weights: str | Path | None,
    class_names: Sequence[str],
) -> None:
    """Give `net` the weights of the phase before; single streams start from `weights`.

    Args:
        out: the run's folder.
        weights: as `find_initial_weights` found them.

    Raises:
        UsageError: there are no weights to start from.
        WeightsError: they cannot be used.
    """
    is_model = isinstance(weights, Path) and weights.is_dir()
    if phase.stream is None:
        before = out / BEFORE[phase.name]
        if not before.exists() and is_model:
            before = Path(str(weights))
        if not before.exists():
            raise UsageError(
                f"{phase.name} starts from {before}, which does not exist",
                remedy="leave --phases out, train the phases before it into the same folder, "
                "or give a trained model folder as --weights",
            )
        start_from_model(net, before, class_names, recipe.temporal_init)
    elif weights is None:
        raise UsageError(
            f"{recipe.name}: a ResNet-{recipe.depth} starts from ImageNet weights, and none were "
            "given",
            remedy="give --weights FILE, --weights OWNER/NAME[/FILE] of the Hugging Face hub, or "
            "--weights none to train from random filters",
        )
    elif is_model:
        start_from_model(net, Path(weights), class_names)
    elif weights != NOISE:
        load_imagenet(net, weights)


def start_from_model(
    net: STResNet,
    folder: Path,
    class_names: Sequence[str],
    temporal_init: TemporalInit = "average",
) -> None:
    """Take the weights of a model folder; if its classes differ, all but the classifiers'."""
    trained = load_model(folder, device="cpu")
    theirs, ours = trained.config["depth"], net.config["depth"]
    if theirs != ours:
        raise WeightsError(
            f"{folder}: holds ResNets of depth {theirs}, and the recipe asks for {ours}",
            remedy=f"train with --depth {theirs}, or with other --weights",
        )
    other_classes = tuple(trained.class_names) != tuple(class_names)
    inflate_from(
        net,
        trained.state_dict(),
        new_classifiers=other_classes,
        temporal_init=temporal_init,
        source=folder,
    )


@torch.no_grad()
def blend(net: STResNet, first: Mapping[str, Tensor], part: float) -> None:
    """Move back towards the first weights, to `part` of the way that the network has gone.

    Source: Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, Eq. 1.
    """
    for name, last in net.state_dict().items():
        last.copy_(first[name].to(last).lerp(last, part))


def take_other_stream(net: STResNet, recipe: Recipe, phase: Phase, out: Path) -> None:
    """Take the other stream, which a single-stream phase does not train, from its own checkpoint.

    So `two_stream` holds what has been trained so far, in whatever order and however often.

    Raises:
        TrainingError: the checkpoint is damaged.
    """
    for other in recipe.phases:
        trained = checkpoint_path(out, other.name)
        if phase.stream and other.stream and other is not phase and trained.exists():
            finished, state = weights_of(trained)
            if finished == other.iterations:
                net.get_submodule(other.stream).load_state_dict(state)
