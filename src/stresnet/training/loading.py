"""A phase's videos, a normalisation group at a time, from loader processes that may die."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from stresnet.data.loading.dataset import ChunkDataset, Sample, SampleKey, StepSampler
from stresnet.errors import StresnetError, TrainingError

LOADER_TIMEOUT = 120.0  # seconds until a silent loader worker is taken for dead


class Group(NamedTuple):
    """One normalisation group.

    Attributes:
        number: its place in the step, whichever process trains it.
        keys: which samples, b of them.
        rgb: (b,T,3,H,W) uint8, without pixels where only motion learns.
        flow: (b,T,2L,H,W) uint8, without pixels where only appearance learns.
        truth: (b,) class indices.
    """

    number: int
    keys: list[SampleKey]
    rgb: Tensor
    flow: Tensor
    truth: Tensor


class GroupSampler(Sampler[tuple[int, list[SampleKey]]]):
    """Cuts each SGD batch into its groups, and deals these out to the processes in turn."""

    def __init__(self, steps: StepSampler, group: int, rank: int = 0, processes: int = 1) -> None:
        self.steps, self.group = steps, group
        self.rank, self.processes = rank, processes

    def __iter__(self) -> Iterator[tuple[int, list[SampleKey]]]:
        for batch in self.steps:
            groups = [batch[at : at + self.group] for at in range(0, len(batch), self.group)]
            yield from list(enumerate(groups))[self.rank :: self.processes]


class GroupDataset(Dataset[Group | StresnetError]):
    """Whole groups of a `ChunkDataset`; a known error is a value, so that no traceback joins it."""

    def __init__(self, samples: ChunkDataset) -> None:
        self.samples = samples

    def __getitem__(self, group: tuple[int, list[SampleKey]]) -> Group | StresnetError:
        number, keys = group
        try:
            return Group(number, keys, *stack([self.samples[key] for key in keys]))
        except StresnetError as error:
            return error


def load_groups(
    samples: ChunkDataset, sampler: GroupSampler, workers: int, *, pin: bool = False
) -> Iterator[Group]:
    """The groups of every step, in order, loaded ahead by `workers` processes (0: by this one).

    Args:
        pin: in page-locked memory, from which a GPU copies faster.

    Raises:
        StoreError: a prepared video is damaged.
        TrainingError: a loader process died, or said nothing for `LOADER_TIMEOUT`.
    """
    loader: DataLoader[Group | StresnetError] = DataLoader(
        GroupDataset(samples),
        sampler=sampler,
        batch_size=None,  # an item of the data set is a group already
        num_workers=workers,
        timeout=LOADER_TIMEOUT if workers else 0,
        worker_init_fn=default_signals,
        generator=torch.Generator(),  # or it would draw from dropout's, when it starts
        pin_memory=pin,
    )
    try:
        for group in loader:
            if isinstance(group, StresnetError):
                raise group
            yield group
    except RuntimeError as error:
        if "DataLoader" not in str(error):
            raise
        raise TrainingError(
            f"a loader process died or hung ({error})",
            remedy="free memory or mend the disk, then run the same command; or use --workers 0",
        ) from error


def default_signals(worker: int) -> None:
    """Ctrl-C is for the training process to answer, which then ends its loader processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stack(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Samples -> rgb (b,T,3,H,W) uint8, flow (b,T,2L,H,W) uint8, labels (b,)."""
    rgb, flow, labels = zip(*samples, strict=True)
    return torch.stack(rgb), torch.stack(flow), torch.tensor(labels)
