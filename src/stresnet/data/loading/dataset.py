"""Training samples and their batches, for a DataLoader.

They depend on seed and step alone, so that a run can resume at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from stresnet.data.loading.augmentation import CropKind
from stresnet.data.loading.chunks import FramesAndFlow, Modality, segment_of, training_chunks
from stresnet.data.loading.sampling import Indices, draw_tau
from stresnet.data.store.location import Place
from stresnet.errors import UsageError


class SampleKey(NamedTuple):
    """Which sample: the SGD step, the place in its batch, and the training item shown there."""

    step: int
    slot: int
    item: int


class TrainingItem(NamedTuple):
    """What a training sample is drawn from: a prepared video, or some of its frames.

    Attributes:
        place: where the prepared video lies.
        label: the index of its class.
        frames: the first and the last one; None: the whole video.
    """

    place: Place
    label: int
    frames: tuple[int, int] | None = None


class Sample(NamedTuple):
    """One training video: rgb (T,3,H,W) uint8, flow (T,2L,H,W) uint8, label index."""

    rgb: Tensor
    flow: Tensor
    label: int


@dataclass(frozen=True)
class ChunkSettings:
    """How training videos become chunks: the arguments of `training_chunks`."""

    chunks: int
    tau: tuple[int, int]
    crop: CropKind
    size: int
    modality: Modality = "both"
    tau_group: int = 1  # successive videos of a batch that share one tau


class ChunkDataset(Dataset[Sample]):
    """Training samples, each a pure function of (seed, step, slot) and of the item's video.

    Args:
        items: what there is to learn from, each shown once per epoch.
        open_video: opens such a place, for example `stresnet.data.store.reader.StoredVideo`.
    """

    def __init__(
        self,
        items: Iterable[TrainingItem | tuple[Place, int]],
        settings: ChunkSettings,
        *,
        seed: int,
        open_video: Callable[[Place], FramesAndFlow],
    ) -> None:
        self.items = tuple(TrainingItem(*item) for item in items)
        self.settings = settings
        self.seed = seed
        self.open_video = open_video

    def __getitem__(self, key: SampleKey) -> Sample:
        step, slot, item = key
        (place, label, frames), settings = self.items[item], self.settings
        video = self.open_video(place)
        drawn = training_chunks(
            video if frames is None else segment_of(video, *frames),
            chunks=settings.chunks,
            tau=self._shared_tau(step, slot) if settings.tau_group > 1 else settings.tau,
            crop=settings.crop,
            size=settings.size,
            rng=np.random.default_rng([self.seed, step, slot]),
            modality=settings.modality,
        )
        return Sample(drawn.rgb, drawn.flow, label)

    def _shared_tau(self, step: int, slot: int) -> tuple[int, int]:
        """The one tau of all slots of a group, as a range."""
        key = [self.seed, step, slot // self.settings.tau_group]
        rng = np.random.default_rng(np.random.SeedSequence(key, spawn_key=(0, 0)))  # not a sample's
        tau = draw_tau(self.settings.tau, rng)
        return tau, tau


class StepSampler(Sampler[list[SampleKey]]):
    """The keys of one SGD batch for each step from `first_step` to before `last_step`.

    Items come in a new random order each epoch, and batches run on across its end: after k epochs'
    worth of samples each item has been shown k times. Give it to a DataLoader as `batch_sampler`.

    Raises:
        UsageError: a count is less than 1 or the seed is negative.
    """

    def __init__(
        self, num_items: int, batch_size: int, *, seed: int, last_step: int, first_step: int = 0
    ) -> None:
        if num_items < 1 or batch_size < 1:
            raise UsageError(
                f"batches of {batch_size} from {num_items} videos; expected 1 or more of both"
            )
        if seed < 0:
            raise UsageError(f"the seed is {seed}; expected 0 or more")
        self.num_items = num_items
        self.batch_size = batch_size
        self.seed = seed
        self.steps = range(first_step, last_step)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        return map(self.keys, self.steps)

    def keys(self, step: int) -> list[SampleKey]:
        """The batch of `step`, whatever came before."""
        first = step * self.batch_size
        epochs = range(first // self.num_items, (first + self.batch_size - 1) // self.num_items + 1)
        order = np.concatenate([self._order(epoch) for epoch in epochs])
        skipped = first - epochs.start * self.num_items
        batch = order[skipped : skipped + self.batch_size]
        return [SampleKey(step, slot, int(item)) for slot, item in enumerate(batch)]

    def _order(self, epoch: int) -> Indices:
        # A spawn key keeps these draws apart from the samples' own, keyed [seed, step, slot].
        stream = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(stream).permutation(self.num_items)
