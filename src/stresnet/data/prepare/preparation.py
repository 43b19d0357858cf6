"""How a video is prepared, and whether a network was trained on videos prepared like it.

Every store and every model folder records its `preparation`: the short side of the frames, the
parameters of TV-L1, and what the flow's bytes mean. A network that is shown flow of another kind
fails without an error, so evaluation compares the two, and prediction prepares a video as the
model says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypedDict

from stresnet.data.store.format import FLOW_FORMAT, differences
from stresnet.data.store.jpeg import QUALITY
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, StoreError, UsageError, WeightsError, in_short, printable
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.parameters import FORMER_PARAMETERS
from stresnet.flow.quantize import SHORT_SIDE, stored_scale

_NOT_IN_PIXELS = ("imported_fps",)

logger = logging.getLogger(__name__)


def preparation(
    parameters: TVL1Parameters = AUTHORS, *, short_side: int = SHORT_SIDE
) -> dict[str, Any]:
    """Return all that decides the pixels of a prepared video, as JSON values."""
    return {
        "short_side": short_side,
        "jpeg_quality": QUALITY,
        "flow": "TV-L1",
        **FLOW_FORMAT,
        # Left out where it is 1: most stores were made before there was any other value.
        **({} if short_side == SHORT_SIDE else {"flow_scale": stored_scale(short_side)}),
        **{f"tv_l1_{name}": value for name, value in asdict(parameters).items()},
        **FORMER_PARAMETERS,
    }


def require_same_preparation(
    trained: Mapping[str, Any], videos: Iterable[StoredVideo], *, model: str = "the model"
) -> None:
    """Refuse videos that were prepared differently from those a network was trained on.

    Stores that cannot be read are left to whoever reads them next.

    Args:
        trained: the network's `preparation`. What it does not record cannot differ.
        model: what messages call the network.

    Raises:
        DatasetError: a video was prepared differently; the keys and both values are named.
    """
    expected = {key: value for key, value in trained.items() if key not in _NOT_IN_PIXELS}
    found: list[tuple[StoredVideo, list[str]]] = []
    for video in videos:
        try:
            recorded = {key: video.preparation.get(key) for key in expected}
            if differing := differences(recorded, expected):
                found.append((video, differing))
        except StoreError:
            continue
    if not found:
        return
    video, differing = found[0]
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    raise DatasetError(
        f"{printable(video.path)}{others}: not prepared like the videos that {model} was trained "
        f"on: {in_short(differing, '; ')}",
        remedy="give a --store that was made in the same way (imported, if the model's was)",
    )


def flow_parameters(trained: Mapping[str, Any], *, model: str = "the model") -> TVL1Parameters:
    """Return how to compute the flow that a network was trained on.

    Where that is not known, because the flow was imported or nothing is recorded, it is the
    authors' (`AUTHORS`); a warning says so if it was imported.

    Raises:
        WeightsError: the network expects flow that cannot be computed here.
    """
    if not trained:
        return AUTHORS
    if "imported_from" in trained:
        logger.warning(
            f"{model} was trained on flow imported from {trained['imported_from']}, made in a way "
            "that is not recorded; using TV-L1 with the authors' parameters"
        )
        return AUTHORS
    known = {f"tv_l1_{field.name}": field.name for field in fields(TVL1Parameters)}
    given = {
        key: value
        for key, value in trained.items()
        if key.startswith("tv_l1_") and (key, value) not in FORMER_PARAMETERS.items()
    }
    format_ = {key: trained.get(key, ours) for key, ours in FLOW_FORMAT.items()}
    problem = "; ".join([*differences(format_, FLOW_FORMAT), *sorted(given.keys() - known)])
    if not problem:
        try:
            return TVL1Parameters(**{known[key]: value for key, value in given.items()})
        except (TypeError, UsageError) as error:
            problem = f"no usable flow parameters ({error})"
    raise WeightsError(
        f"{model} was trained on flow that cannot be computed here: {problem}",
        remedy="use the version of stresnet that trained it, or fetch the model again",
    )


class HowPrepared(TypedDict):
    """The arguments of `prepare`, `prepare_video` and `default_store` that decide the pixels."""

    parameters: TVL1Parameters
    short_side: int


def prepared_like(trained: Mapping[str, Any], *, model: str = "the model") -> HowPrepared:
    """Return how to prepare videos for a network, from its `preparation`.

    Raises:
        WeightsError: as in `flow_parameters` and `short_side`.
    """
    return HowPrepared(
        parameters=flow_parameters(trained, model=model),
        short_side=short_side(trained, model=model),
    )


def short_side(trained: Mapping[str, Any], *, model: str = "the model") -> int:
    """Return the short side, in pixels, of the frames that a network was trained on.

    Raises:
        WeightsError: what the network records is not a number of pixels.
    """
    side = trained.get("short_side", SHORT_SIDE)
    if not isinstance(side, int) or side < 1:
        raise WeightsError(
            f"{model}: short_side is {side!r} in its config.json, expected a number of pixels",
            remedy="fetch the model again",
        )
    return side
