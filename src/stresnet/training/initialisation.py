"""A phase's network, and the weights that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from stresnet.errors import UsageError
from stresnet.model import STResNet, inflate_from, load_imagenet, load_model
from stresnet.training.checkpoint import weights_of
from stresnet.training.loop import checkpoint_path
from stresnet.training.recipe import Phase, Recipe

SHIPPED_WEIGHTS = files("stresnet") / "assets" / "tiny_imagenet.safetensors"
NETWORK_OF = {  # phase -> the model folder that holds its result
    "motion": "two_stream",
    "appearance": "two_stream",
    "st_resnet": "st_resnet",
    "st_resnet_star": "st_resnet_star",
}
BEFORE = {"st_resnet": "two_stream", "st_resnet_star": "st_resnet"}


def network(recipe: Recipe, phase: Phase, num_classes: int) -> STResNet:
    """The phase's network, with new filters."""
    dropout = {name: phase.dropout for name in ("appearance", "motion")}
    if phase.stream:  # each stream of the two-stream network has a phase of its own
        dropout |= {p.stream: p.dropout for p in recipe.phases if p.stream}
    return STResNet(
        num_classes,
        recipe.depth,
        input_size=recipe.input_size,
        motion_residual=None if phase.stream else recipe.motion_residual,
        temporal_convolutions=recipe.temporal_convolutions and not phase.stream,
        temporal_pool=recipe.temporal_pool if phase.name == "st_resnet_star" else None,
        temporal_pool_kind=recipe.temporal_pool_kind,
        appearance_dropout=dropout["appearance"],
        motion_dropout=dropout["motion"],
    )


def start_from(
    net: STResNet,
    recipe: Recipe,
    phase: Phase,
    out: Path,
    weights: str | Path | None,
    class_names: Sequence[str],
) -> None:
    """Give `net` the weights of the phase before; single streams start from `weights`.

    A single-stream phase also takes the other stream from that one's finished checkpoint, so that
    `two_stream` holds what is trained so far, in whichever order, however often.

    Args:
        out: the run's folder.
        weights: an ImageNet file, or a model folder; None: what ships with the package.

    Raises:
        UsageError: there is no network for an ST-ResNet to start from.
        WeightsError: `weights` cannot be used.
    """
    given = Path(weights) if weights is not None else None
    if phase.stream is None:
        before = out / BEFORE[phase.name]
        if not before.exists() and given is not None and given.is_dir():
            before = given
        if not before.exists():
            raise UsageError(
                f"{phase.name} starts from {before}, which is not there",
                remedy="leave --phases out, train the phases before it into the same folder, "
                "or give a trained model folder as --weights",
            )
        start_from_model(net, before, class_names)
        return
    if given is not None and given.is_dir():
        start_from_model(net, given, class_names)
    elif given is not None:
        load_imagenet(net, given)
    elif recipe.depth == "tiny":
        with as_file(SHIPPED_WEIGHTS) as shipped:
            load_imagenet(net, shipped)
    for other in recipe.phases:
        trained = checkpoint_path(out, other.name)
        if other.stream and other is not phase and trained.exists():
            finished, state = weights_of(trained)
            if finished == other.iterations:
                net.get_submodule(other.stream).load_state_dict(state)


def start_from_model(net: STResNet, folder: Path, class_names: Sequence[str]) -> None:
    """Take the weights of a model folder; of other classes, all but the classifiers'."""
    trained = load_model(folder, device="cpu")
    other_classes = tuple(trained.class_names) != tuple(class_names)
    inflate_from(net, trained.state_dict(), new_classifiers=other_classes)
