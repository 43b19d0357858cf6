"""What a recipe is: the words in which `stresnet.training.recipes` writes its values.

The four phases of the paper (section 3.4), each from the one before:

    motion          the flow stream alone, one stack of L = 10 fields per video
    appearance      the RGB stream alone, one frame per video
    st_resnet       both streams, motion residuals and temporal convolutions, T = 5 chunks
    st_resnet_star  the same with temporal max-pooling, T = 11 chunks (ST-ResNet*)

Learning rates are written as (rate, iterations) steps; an iteration is one optimiser step over
`batch` videos. `norm_group` is the number of videos that share BatchNorm moments (section 3.4: "a
batch normalisation batch size of ..."; see docs/paper_vs_code.md, D3).

The default of every field is the paper's own training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, Literal, get_args, get_origin, get_type_hints

from stresnet.data.loading.augmentation import CropKind
from stresnet.data.prepare.preparation import HowPrepared
from stresnet.errors import UsageError
from stresnet.flow import AUTHORS, FAST
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.model.motion_residual import MotionResidual, ResidualScale
from stresnet.model.residual_unit import StrideIn
from stresnet.model.stream import POOL_WINDOW, Depth, TemporalPoolKind
from stresnet.model.sub_batch_norm import RunningMoments
from stresnet.model.temporal_convolution import TemporalInit

PhaseName = Literal["motion", "appearance", "st_resnet", "st_resnet_star"]
# The range of iterations that epochs become: small folders need steps, large ones an end.
FEWEST, MOST = 60, 2000

PHASES: tuple[PhaseName, ...] = ("motion", "appearance", "st_resnet", "st_resnet_star")


@dataclass(frozen=True)
class Phase:
    """What one phase of training does.

    Attributes:
        name: which network, which of its streams learn.
        schedule: (learning rate, iterations) one after the other.
        unit: whether the schedule counts iterations or epochs, passes over the training videos;
            see `Recipe.for_videos`.
        batch: videos per SGD step.
        norm_group: videos that share normalisation moments; it divides `batch` or the last
            group of a step is smaller.
        chunks: T, temporal positions sampled from a video.
        tau: lowest and highest stride between chunks, in frames.
        crop: "corners" (motion stream), "scale-jitter" (appearance and joint phases),
            "corner-grid" (its form in the released code, D5), or "whole", the frame.
        dropout: before the classifiers.
        learns: all layers, or only the classifiers.
        fixed_norms: whether the norms keep their running moments, as in testing.
        pretrained_rate: learning rate of all but temporal filters and the factors of motion
            residuals, which are new in the joint phases, as a multiple of theirs.
        cosine: whether each of these rates is a peak, reached after a tenth of its iterations and
            followed by half a cosine towards 0, or is constant, as in the paper.
        blend: where the network ends on the straight line from its first weights, 0, to its last,
            1. Anything less than 1 (Wortsman et al. 2022, ours) needs fixed norms.
        shared_tau: whether tau is drawn once per normalisation group, as in the released code, or
            once per video.

    Raises:
        UsageError: a field holds no such value.
    """

    name: PhaseName
    schedule: tuple[tuple[float, int], ...]
    batch: int
    norm_group: int
    chunks: int
    tau: tuple[int, int]
    crop: CropKind
    dropout: float = 0.0
    cosine: bool = False
    shared_tau: bool = False
    unit: Literal["iterations", "epochs"] = "iterations"
    learns: Literal["all", "classifier"] = "all"
    fixed_norms: bool = False
    pretrained_rate: float = 1.0
    blend: float = 1.0

    def __post_init__(self) -> None:
        _require_types(self)
        steps = [steps for rate, steps in self.schedule if rate > 0 and steps >= 0]
        if len(steps) != len(self.schedule) or sum(steps) < 1:
            raise UsageError(
                f"schedule of {self.name} is {self.schedule}, "
                f"expected (rate above 0, {self.unit}), one or more"
            )
        if self.blend > 1 or (self.blend < 1 and not self.fixed_norms):
            raise UsageError(
                f"blend of {self.name} is {self.blend}, expected from 0 to 1, "
                "and 1 unless norms are fixed"
            )
        whole = self.unit == "epochs" or all(isinstance(steps, int) for _, steps in self.schedule)
        if not whole or not all(map(math.isfinite, chain.from_iterable(self.schedule))):
            raise UsageError(
                f"schedule of {self.name} is {self.schedule}, "
                "expected finite rates and whole iterations"
            )
        if self.name == "st_resnet_star" and self.chunks < POOL_WINDOW:
            raise UsageError(
                f"chunks of {self.name} is {self.chunks}, expected at least {POOL_WINDOW}, which "
                "it pools over"
            )
        lowest, highest = self.tau
        if not (1 <= lowest <= highest and isinstance(lowest, int) and isinstance(highest, int)):
            raise UsageError(
                f"tau of {self.name} is {self.tau}, expected (lowest, highest) frames from 1"
            )

    @property
    def stream(self) -> Literal["motion", "appearance"] | None:
        """The only stream that learns, or None where both do."""
        return self.name if self.name == "motion" or self.name == "appearance" else None

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that learn."""
        return (self.stream,) if self.stream else ("appearance", "motion")

    @property
    def iterations(self) -> int:
        """Optimiser steps of the whole phase."""
        assert self.unit == "iterations", "see Recipe.for_videos"
        return sum(steps for _, steps in self.schedule)

    def for_videos(self, videos: int) -> Phase:
        """Return the phase with epochs turned into iterations, from `FEWEST` to `MOST`."""
        if self.unit == "iterations":
            return self
        epochs = sum(count for _, count in self.schedule)
        steps = min(max(epochs * videos / self.batch, FEWEST), MOST)
        schedule = tuple((rate, round(steps * count / epochs)) for rate, count in self.schedule)
        return replace(self, schedule=schedule, unit="iterations")

    def learning_rate(self, iteration: int) -> float:
        """The rate of one iteration, counted from 0."""
        for rate, steps in self.schedule:
            if iteration < steps:
                return rate * warmed_cosine(iteration, steps) if self.cosine else rate
            iteration -= steps
        raise ValueError("iteration beyond the schedule")


def warmed_cosine(iteration: int, iterations: int) -> float:
    """Half a cosine from 1 to 0, after a linear warm-up over the first tenth; in (0, 1]."""
    warm_up = min(1.0, 10 * (iteration + 1) / iterations)
    return warm_up * (1 + math.cos(math.pi * iteration / iterations)) / 2


@dataclass(frozen=True)
class Recipe:
    """A whole training: the network, its phases, the loss, the optimiser's constants.

    Attributes:
        depth: of both streams (`STResNet(depth=...)`).
        input_size: side of the square training crop, pixels.
        momentum: of SGD.
        weight_decay: of filters, not of biases and normalisation.
        temporal_pool: where ST-ResNet* pools over time ("pool5": the paper's text; "conv5": the
            authors' code and Fig. 3).
        chunk_loss: whether a video's chunk losses are summed, as the authors' code does (D10), or
            averaged, which makes the rate independent of T.
        joint_softmax: one loss on the sum of both streams' scores instead of one per stream
            (section 4.1's ablation: it "overfits severely to appearance").
        optimizer: "sgd", with `momentum`, as in the paper, or "adamw".
        double_rates: whether biases and BatchNorm's gains learn twice as fast (setLrWd.m).
        running_moments: what BatchNorm averages over groups and steps: "variance", or the authors'
            "deviation" (see SubBatchNorm).
        motion_residual: how motion enters appearance in the joint phases: Eq. 2, or one of its
            ablations (see motion_residual.py).
        residual_scale: learnt factors of these residuals, which start at 0 (ours): "none", one for
            each "stage", or one for each "channel". With these and `temporal_init` "identity", the
            joint network starts where the two streams stand.
        scale_rate: learning rate of these factors, as a multiple of the others'.
        temporal_convolutions: Eq. 5, in the joint phases.
        temporal_init: how temporal filters start: "average" (Eq. 5) or "identity" (ours).
        temporal_pool_kind: "max" (the paper) or "average", in ST-ResNet*.
        short_side: of the prepared frames, pixels.
        flow: parameters of TV-L1: "authors" or "fast" (see `stresnet.flow`).
        stride_in: which convolution strides: "1x1" (the paper's ResNets), or "3x3", which ImageNet
            weights of torchvision and timm need.

    Raises:
        UsageError: a field holds no such value.
    """

    name: str
    depth: Depth
    input_size: int
    phases: tuple[Phase, ...]
    momentum: float = 0.9
    weight_decay: float = 5e-4
    temporal_pool: Literal["pool5", "conv5"] = "pool5"
    chunk_loss: Literal["sum", "mean"] = "mean"
    joint_softmax: bool = False
    optimizer: Literal["sgd", "adamw"] = "sgd"
    double_rates: bool = False
    running_moments: RunningMoments = "variance"
    motion_residual: MotionResidual = "appearance"
    residual_scale: ResidualScale = "none"
    scale_rate: float = 1.0
    temporal_convolutions: bool = True
    temporal_init: TemporalInit = "average"
    temporal_pool_kind: TemporalPoolKind = "max"
    short_side: int = SHORT_SIDE
    flow: Literal["authors", "fast"] = "authors"
    stride_in: StrideIn = "1x1"

    def __post_init__(self) -> None:
        _require_types(self)
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise UsageError(f"phases of {self.name} are {', '.join(names)}, expected each once")

    @property
    def preparing(self) -> HowPrepared:
        """How its videos are prepared."""
        parameters = {"authors": AUTHORS, "fast": FAST}[self.flow]
        return HowPrepared(parameters=parameters, short_side=self.short_side)

    def for_videos(self, videos: int) -> Recipe:
        """Return the recipe for this many training videos, with iterations in place of epochs."""
        return replace(self, phases=tuple(phase.for_videos(videos) for phase in self.phases))

    def phase(self, name: str) -> Phase:
        """The phase of that name.

        Raises:
            UsageError: there is none.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = ", ".join(phase.name for phase in self.phases) or "none"
        raise UsageError(
            f"{self.name} has no phase {name!r}; its phases: {known}",
            remedy="choose some of these with --phases, or add a table [[phases]] to the recipe",
        )

    def with_phases(self, *names: PhaseName, **changes: Any) -> Recipe:
        """The recipe with fields of some phases changed; of all phases, if none are named.

        A new schedule counts iterations, unless `unit` is given too.

        Raises:
            UsageError: there is no phase of that name.
        """
        named = names or [phase.name for phase in self.phases]
        if "schedule" in changes:
            changes.setdefault("unit", "iterations")
        changed = {name: replace(self.phase(name), **changes) for name in named}
        return replace(self, phases=tuple(changed.get(p.name, p) for p in self.phases))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a run's folder."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `as_dict` wrote, even through JSON, which has no tuples.

        Raises:
            UsageError: there are fields that recipes do not have, or values that do not fit.
        """
        try:
            phases = tuple(
                Phase(
                    **phase
                    | {
                        "schedule": tuple((rate, steps) for rate, steps in phase["schedule"]),
                        "tau": tuple(phase["tau"]),
                    }
                )
                for phase in values["phases"]
            )
            residual = values.get("motion_residual", cls.motion_residual)
            given = {**values, "motion_residual": None if residual == "none" else residual}
            return cls(**{**given, "phases": phases})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise UsageError(
                f"the recipe cannot be read ({type(error).__name__}: {error})",
                remedy="it was made by another version of stresnet: train into a new folder",
            ) from error


def _require_types(recipe: Recipe | Phase) -> None:
    """Raise `UsageError` unless each field holds a value of its type."""
    for name, kind in get_type_hints(type(recipe)).items():
        value = getattr(recipe, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        literals = [each for each in (kind, *get_args(kind)) if get_origin(each) is Literal]
        if literals:
            optional = (None,) if type(None) in get_args(kind) else ()
            choices = (*get_args(literals[0]), *optional)
            fits, expected = value in choices, f"one of {', '.join(map(repr, choices))}"
        elif kind is int:
            fits = is_number and isinstance(value, int) and value >= 1
            expected = "a whole number from 1"
        elif kind is float:
            fits, expected = is_number and 0 <= value < math.inf, "a number from 0"
        else:
            fits, expected = kind is not bool or isinstance(value, bool), "true or false"
        if not fits:
            raise UsageError(f"{name} of {recipe.name} is {value!r}, expected {expected}")
