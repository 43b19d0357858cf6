"""Training recipes: frozen values, each with its source.

The four phases of the paper (section 3.4), each from the one before:

    motion          the flow stream alone, one stack of L = 10 fields a video
    appearance      the RGB stream alone, one frame a video
    st_resnet       both streams, motion residuals and temporal convolutions, T = 5 chunks
    st_resnet_star  the same with temporal max-pooling, T = 11 chunks (ST-ResNet*)

Learning rates are written as (rate, iterations) steps; an iteration is one SGD step over `batch`
videos. `norm_group` is the number of videos that share BatchNorm moments (section 3.4: "a batch
normalisation batch size of ..."; see docs/paper_vs_code.md, D3).
"""

from __future__ import annotations

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
        batch: videos an SGD step.
        norm_group: videos that share normalisation moments; it divides `batch` or the last
            group of a step is smaller.
        chunks: T, temporal positions sampled from a video.
        tau: lowest and highest stride between chunks, in frames, drawn once a video.
        crop: "corners" (motion stream), "scale-jitter" (appearance and joint phases).
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

    @property
    def iterations(self) -> int:
        """Optimiser steps of the whole phase."""
        return sum(steps for _, steps in self.schedule)

    def learning_rate(self, iteration: int) -> float:
        """The rate of one iteration, counted from 0."""
        for rate, steps in self.schedule:
            if iteration < steps:
                return rate
            iteration -= steps
        raise ValueError("iteration beyond the schedule")


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
# Small data on a laptop: hundreds of clips, two cores, minutes. Small crops, mean losses, groups
# as large as the batch. The paper's rates are for batches of 256: with 16, ResNet-50 diverges at
# 1e-2 (docs/log.md).
#   stresnet train FOLDER                                            (the small network)
#   stresnet train FOLDER --depth 50 --weights RESNET50              (the paper's, 112 px crops)
# Accuracy on the surveillance clips: README, "Results".
# --------------------------------------------------------------------------------------------
QUICK = Recipe(
    name="quick",
    depth="tiny",
    input_size=112,
    phases=(
        Phase(
            name="motion",
            schedule=((3e-3, 200), (3e-4, 100)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="corners",
            dropout=0.5,
        ),
        Phase(
            name="appearance",
            schedule=((3e-3, 100), (3e-4, 50)),
            batch=16,
            norm_group=16,
            chunks=1,
            tau=(1, 1),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet",
            schedule=((1e-3, 100), (1e-4, 50)),
            batch=8,
            norm_group=8,
            chunks=5,
            tau=(3, 10),
            crop="scale-jitter",
            dropout=0.5,
        ),
        Phase(
            name="st_resnet_star",
            schedule=((1e-3, 30), (1e-4, 15)),
            batch=8,
            norm_group=4,
            chunks=11,
            tau=(1, 5),
            crop="scale-jitter",
            dropout=0.5,
        ),
    ),
)

RECIPES = {recipe.name: recipe for recipe in (PAPER, QUICK)}


def recipe_named(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        UsageError: no recipe of that name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}") from None
