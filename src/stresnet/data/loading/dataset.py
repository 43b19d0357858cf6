"""Chunks of one video as the network takes them, and batches of them for SGD.

`training_chunks` and `testing_chunks` read anything that serves frames and flow (`FramesAndFlow`):
a prepared video, or arrays through `InMemoryVideo`. `ChunkDataset` and `StepSampler` feed a
DataLoader. What they give depends on seed and step alone, so that a run can resume at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from stresnet.data.loading.augmentation import (
    BASE_CROP,
    CROP_RULES,
    SHORT_SIDE,
    CropKind,
    apply,
    apply_to_flow,
    apply_to_rgb,
    mirror,
    whole_frame,
)
from stresnet.data.loading.sampling import (
    FLOWS,
    HALF,
    Indices,
    draw_tau,
    flow_indices,
    reflect,
    testing_centres,
    training_centres,
    valid_centres,
)
from stresnet.data.store.format import NO_MOTION
from stresnet.data.store.place import Place
from stresnet.errors import UsageError

Modality = Literal["rgb", "flow", "both"]


class FramesAndFlow(Protocol):
    """A video that serves single frames and flow fields, by index, in any order, with repeats.

    A video of one frame has no flow; it serves zero motion as its flow field 0.
    """

    @property
    def num_frames(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,H,W,3) RGB."""

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,2,H,W), x then y, quantised by `stresnet.flow.to_bytes`."""


class InMemoryVideo:
    """Arrays served as a prepared video: `frames` (N,H,W,3) uint8, `flow_bytes` (N-1,2,H,W) uint8.

    Raises:
        UsageError: the arrays are not 8-bit, or their shapes do not belong together.
    """

    def __init__(self, frames: NDArray[np.uint8], flow_bytes: NDArray[np.uint8]) -> None:
        if frames.dtype != np.uint8 or flow_bytes.dtype != np.uint8:
            raise UsageError(
                f"frames are {frames.dtype}, flow is {flow_bytes.dtype}; expected uint8 for both",
                remedy="quantise the flow with stresnet.flow.to_bytes",
            )
        if frames.ndim != 4 or frames.shape[0] < 1 or frames.shape[3] != 3:
            raise UsageError(f"frames have shape {frames.shape}; expected (N,H,W,3), N >= 1")
        self.num_frames, self.height, self.width, _ = frames.shape
        expected = (self.num_frames - 1, 2, self.height, self.width)
        if flow_bytes.shape != expected:
            raise UsageError(f"flow has shape {flow_bytes.shape}; expected {expected}")
        if self.num_frames == 1:
            flow_bytes = np.full((1, 2, self.height, self.width), NO_MOTION, dtype=np.uint8)
        self._frames, self._flow = frames, flow_bytes

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        return self._frames[indices]

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        return self._flow[indices]


class Cut:
    """Frames `first` ... `last` of a video, both included, as a video of its own."""

    def __init__(self, video: FramesAndFlow, first: int, last: int) -> None:
        self._video, self._first = video, first
        self.num_frames = last - first + 1
        self.height, self.width = video.height, video.width

    def frames(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,H,W,3) RGB."""
        return self._video.frames(indices + self._first)

    def flow(self, indices: Indices) -> NDArray[np.uint8]:
        """(n,) -> (n,2,H,W); no motion in a single frame."""
        if self.num_frames == 1:
            return np.full((len(indices), 2, self.height, self.width), NO_MOTION, np.uint8)
        return self._video.flow(indices + self._first)


def segment_of(video: FramesAndFlow, first: int, last: int) -> Cut:
    """Frames `first` ... `last` with what chunks need around them: their centres lie inside.

    The flow stacks at the ends are real, except where the video itself ends.
    """
    start, stop = max(first - HALF, 0), min(last + HALF, video.num_frames - 1)
    low, high = valid_centres(stop - start + 1)
    inside = first <= start + low and start + high <= last
    return Cut(video, start, stop) if inside else Cut(video, first, last)


def frames_in(times: NDArray[np.float64], start: float, end: float) -> tuple[int, int]:
    """First and last frame of those shown from `start` to before `end`, seconds; at least one.

    Args:
        times: (N,) of the frames, increasing.
    """
    first = min(int(np.searchsorted(times, start - 1e-6)), len(times) - 1)
    last = int(np.searchsorted(times, end - 1e-6)) - 1
    return first, max(first, last)


@dataclass(frozen=True)
class Chunks:
    """T chunks of one video: rgb (T,3,H,W) uint8, flow (T,2L,H,W) uint8 (0 px per frame = 128).

    A modality that was not asked for has no pixels: (T,3,0,0) or (T,2L,0,0).
    """

    rgb: Tensor
    flow: Tensor

    def mirrored(self) -> Chunks:
        """The same chunks seen in a mirror: the second pass of the test protocol."""
        return Chunks(*mirror(self.rgb, self.flow))


def training_chunks(
    video: FramesAndFlow,
    *,
    chunks: int,
    tau: tuple[int, int],
    crop: CropKind,
    size: int,
    rng: np.random.Generator,
    modality: Modality = "both",
) -> Chunks:
    """T = `chunks` chunks at a random stride, start, crop and flip, size x size px.

    Args:
        tau: least and greatest stride, in frames.
        size: side of the network's input, px.
        modality: what to read; the draws, and so the chunks, are the same for each.

    Raises:
        UsageError: an argument makes no sense.
        StoreError: the video is damaged.
    """
    if crop not in CROP_RULES:
        raise UsageError(f"unknown crop {crop!r}", remedy=f"choose from {', '.join(CROP_RULES)}")
    centres = training_centres(video.num_frames, chunks, tau, rng)
    cut = CROP_RULES[crop](video.height, video.width, rng)
    rgb = torch.empty((chunks, 3, 0, 0), dtype=torch.uint8)
    flow = torch.empty((chunks, 2 * FLOWS, 0, 0), dtype=torch.uint8)
    if modality != "flow":
        rgb = apply_to_rgb(video.frames(centres), cut, (size, size))
    if modality != "rgb":
        flow = apply_to_flow(_read_flow(video, centres), cut, (size, size))
    return Chunks(rgb, flow)


def testing_chunks(video: FramesAndFlow, *, chunks: int = 25, size: int) -> Chunks:
    """Chunks spread evenly over the video, whole frames (paper, section 4.1).

    The short side becomes 256/224 of `size`, the network's training crop in px, and the aspect is
    kept. Prepared videos have that short side already for size 224 and are not resampled. (The
    released code also squeezes the long side to 448 px where it is longer; we do not.)

    Raises:
        UsageError: an argument makes no sense.
        StoreError: the video is damaged.
    """
    frame = video.height, video.width
    centres = testing_centres(video.num_frames, chunks)
    rgb, fields = video.frames(centres), _read_flow(video, centres)
    return Chunks(*apply(rgb, fields, whole_frame(*frame), testing_size(*frame, size)))


def testing_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width, px, at which a network of input `size` sees a frame when tested."""
    short = round(SHORT_SIDE * size / BASE_CROP)
    scale = short / min(height, width)
    return round(height * scale), round(width * scale)


def _read_flow(video: FramesAndFlow, centres: Indices) -> NDArray[np.uint8]:
    """Flow stacks (T,L,2,H,W) at `centres` (T,)."""
    fields = reflect(flow_indices(centres), max(video.num_frames - 1, 1))
    flow = video.flow(fields.reshape(-1))
    return flow.reshape(*fields.shape, *flow.shape[1:])


class SampleKey(NamedTuple):
    """Which sample: the SGD step, the place in its batch, and the training item shown there."""

    step: int
    slot: int
    item: int


class TrainingItem(NamedTuple):
    """What a training sample is drawn from: a prepared video, or some of its frames.

    Attributes:
        place: of the prepared video.
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
    tau_group: int = 1  # videos, one after the other in a batch, that share one tau


class ChunkDataset(Dataset[Sample]):
    """Training samples, each a pure function of (seed, step, slot) and of the item's video.

    Args:
        items: what there is to learn from, each shown once an epoch.
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
