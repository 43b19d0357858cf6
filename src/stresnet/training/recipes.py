"""Training recipes: frozen values, each with its source.

The four phases of the paper (section 3.4), each from the one before:

    motion          the flow stream alone, one stack of L = 10 fields a video
    appearance      the RGB stream alone, one frame a video
    st_resnet       both streams, motion residuals and temporal convolutions, T = 5 chunks
    st_resnet_star  the same with temporal max-pooling, T = 11 chunks (ST-ResNet*)

Learning rates are written as (rate, iterations) steps; an iteration is one optimiser step over
`batch` videos. `norm_group` is the number of videos that share BatchNorm moments (section 3.4: "a
batch normalisation batch size of ..."; see docs/paper_vs_code.md, D3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from stresnet.data.augmentation import CropKind
from stresnet.errors import UsageError
from stresnet.model.stream import Depth

PhaseName = Literal["motion", "appearance", "st_resnet", "st_resnet_star"]
PHASES: tuple[PhaseName, ...] = ("motion", "appearance", "st_resnet", "st_resnet_star")


@dataclass(frozen=True)
class Phase:
    """What one phase of training does.

    Attributes:
        name: which network, which of its streams learn.
        schedule: (learning rate, iterations) one after the other.
        cosine: whether each of these rates is a peak, reached after a tenth of its iterations and
            left along half a cosine towards 0, or is constant, as in the paper.
        batch: videos an SGD step.
        norm_group: videos that share normalisation moments; it divides `batch` or the last
            group of a step is smaller.
        chunks: T, temporal positions sampled from a video.
        tau: lowest and highest stride between chunks, in frames, drawn once a video.
        crop: "corners" (motion stream), "scale-jitter" (appearance and joint phases), or
            "corner-grid", the released code's form of that (D5).
        dropout: before the classifiers.
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

    @property
    def stream(self) -> Literal["motion", "appearance"] | None:
        """The only stream that learns, or None where both do."""
        return self.name if self.name == "motion" or self.name == "appearance" else None

    @property
    def iterations(self) -> int:
        """Optimiser steps of the whole phase."""
        return sum(steps for _, steps in self.schedule)

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
    """A whole training: the network's size, its phases, the optimiser's constants.

    Attributes:
        depth: of both streams (`STResNet(depth=...)`).
        input_size: side of the square training crop, pixels.
        temporal_pool: where ST-ResNet* pools over time ("pool5": the paper's text; "conv5": the
            authors' code and Fig. 3).
        chunk_loss: whether a video's chunk losses are summed, as the authors' code does (D10), or
            averaged, which makes the rate independent of T.
        joint_softmax: one loss on the sum of both streams' scores instead of one a stream
            (section 4.1's ablation: it "overfits severely to appearance").
        optimizer: "sgd", with `momentum`, as in the paper, or "adamw".
        double_rates: whether biases and BatchNorm's gains learn twice as fast (setLrWd.m).
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

    def phase(self, name: str) -> Phase:
        """The phase of that name.

        Raises:
            UsageError: there is none.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise UsageError(f"phase {name!r} is not one of {', '.join(p.name for p in self.phases)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a run's folder."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that gave `as_dict`, also after a way through JSON, which knows no tuples."""
        phases = tuple(
            Phase(
                **{
                    **phase,
                    "schedule": tuple((rate, steps) for rate, steps in phase["schedule"]),
                    "tau": tuple(phase["tau"]),
                }
            )
            for phase in values["phases"]
        )
        return cls(**{**values, "phases": phases})


# --------------------------------------------------------------------------------------------
# The paper: Table 2 and section 3.4. Two streams of ResNet-50 from ImageNet, UCF101 split 1.
#   stresnet train UCF101 --recipe paper --weights RESNET50
# Cost: 30K + 10K + 20K + 80K + 4K iterations; not run here. Expected: 93.5 % (mean of 3 splits).
# Weight decay is not in the paper; 5e-4 is the authors' code.
# --------------------------------------------------------------------------------------------
PAPER = Recipe(
    name="paper",
    depth=50,
    input_size=224,
    chunk_loss="sum",
    phases=(
        Phase(
            name="motion",
            schedule=((1e-2, 30_000), (1e-3, 10_000)),
            batch=256,
            norm_group=86,
            chunks=1,
            tau=(1, 1),
            crop="corners",
        ),
        Phase(
            name="appearance",
            schedule=((1e-2, 10_000), (1e-3, 10_000)),
            batch=256,
            norm_group=8,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
        ),
        Phase(
            name="st_resnet",
            schedule=((1e-3, 30_000), (1e-4, 30_000), (1e-5, 20_000)),
            batch=128,
            norm_group=4,
            chunks=5,
            tau=(5, 15),
            crop="scale-jitter",
        ),
        Phase(
            name="st_resnet_star",
            schedule=((1e-4, 2_000), (1e-5, 2_000)),
            batch=128,
            norm_group=4,
            chunks=11,
            tau=(1, 15),
            crop="scale-jitter",
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# The authors' MATLAB where it differs from the paper (docs/paper_vs_code.md): groups of 32 videos
# for single streams, dropout 0.8 in the motion base network, doubled rates, summed losses, two
# corners only, pooling over time after conv5. Their "epochs" are written out in iterations for
# UCF101's 9537 training videos of split 1, of which each is seen 100 times (motion), 10 times
# (appearance, st_resnet) or once (st_resnet_star) in one. ST-ResNet*'s epochs have no end there:
# MatConvNet's default, 300, is the most they can have been.
#   stresnet train UCF101 --recipe released-code --weights RESNET50
# Cost: 29.8K + 2.2K + 6K + 22.5K iterations; not run here. Expected: 93.5 % (mean of 3 splits).
# --------------------------------------------------------------------------------------------
RELEASED_CODE = Recipe(
    name="released-code",
    depth=50,
    input_size=224,
    temporal_pool="conv5",
    chunk_loss="sum",
    double_rates=True,
    phases=(
        Phase(
            name="motion",
            schedule=((1e-2, 7_451), (1e-3, 7_451), (1e-4, 7_451), (1e-5, 7_451)),
            batch=128,
            norm_group=32,
            chunks=1,
            tau=(1, 1),
            crop="corners",
            dropout=0.8,
        ),
        Phase(
            name="appearance",
            schedule=((1e-2, 746), (1e-3, 746), (1e-4, 746)),
            batch=256,
            norm_group=32,
            chunks=1,
            tau=(1, 1),
            crop="corner-grid",
        ),
        Phase(
            name="st_resnet",
            schedule=((1e-3, 2_238), (1e-4, 2_238), (1e-5, 1_492)),
            batch=128,
            norm_group=4,
            chunks=5,
            tau=(5, 15),
            crop="corner-grid",
        ),
        Phase(
            name="st_resnet_star",
            schedule=((1e-4, 75), (1e-5, 22_425)),
            batch=128,
            norm_group=4,
            chunks=11,
            tau=(1, 15),
            crop="corner-grid",
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# Small data on a laptop: hundreds of clips, two cores, minutes. AdamW, since a few hundred
# iterations of SGD leave the small network underfitted (docs/log.md); mean losses, groups as large
# as the batch.
#   stresnet train FOLDER
# Cost: under ten minutes on two cores for 190 clips. Chunk strides fit clips of two seconds, where
# 25 chunks stand 1 to 2 frames apart. Accuracy on the surveillance clips: README, "Results".
# --------------------------------------------------------------------------------------------
QUICK = Recipe(
    name="quick",
    depth="tiny",
    input_size=112,
    optimizer="adamw",
    weight_decay=0.02,
    phases=(
        Phase(
            name="motion",
            schedule=((1e-3, 300),),
            cosine=True,
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.2,
        ),
        Phase(
            name="appearance",
            schedule=((1e-3, 150),),
            cosine=True,
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet",
            schedule=((3e-4, 150),),
            cosine=True,
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((3e-4, 60),),
            cosine=True,
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

# --------------------------------------------------------------------------------------------
# The paper's ResNet-50 on the same small data: an hour on two cores. SGD as in the paper, at rates
# for batches of 16 instead of 256: at 1e-2 it diverges (docs/log.md).
#   stresnet train FOLDER --recipe quick-resnet50 --weights RESNET50
# Accuracy on the surveillance clips: README, "Results".
# --------------------------------------------------------------------------------------------
QUICK_RESNET50 = Recipe(
    name="quick-resnet50",
    depth=50,
    input_size=160,
    phases=(
        Phase(
            name="motion",
            schedule=((1e-3, 133), (1e-4, 67)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="corners",
            dropout=0.5,
        ),
        Phase(
            name="appearance",
            schedule=((1e-3, 66), (1e-4, 34)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet",
            schedule=((5e-4, 80), (5e-5, 40)),
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(3, 10),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((2e-4, 20), (2e-5, 10)),
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

RECIPES = {recipe.name: recipe for recipe in (PAPER, RELEASED_CODE, QUICK, QUICK_RESNET50)}


def recipe_named(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        UsageError: no recipe of that name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}") from None
