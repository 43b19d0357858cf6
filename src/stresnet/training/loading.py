"""A phase's videos, a normalisation group at a time, from loader processes that may die."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, SampleKey, StepSampler
from stresnet.errors import EnvironmentProblem, StresnetError, TrainingError
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.signals import ending_signals

SHARED = Path("/dev/shm")  # where groups lie on their way from a loader process
PREFETCHED = 2  # groups ready for each process
LOADER_TIMEOUT = 120.0  # seconds until a silent loader process counts as dead


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

    def __init__(self, steps: StepSampler, group: int, rank: int = 0, world_size: int = 1) -> None:
        self.steps, self.group = steps, group
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[tuple[int, list[SampleKey]]]:
        for batch in self.steps:
            groups = [batch[at : at + self.group] for at in range(0, len(batch), self.group)]
            yield from list(enumerate(groups))[self.rank :: self.world_size]


class GroupDataset(Dataset[Group | StresnetError]):
    """Whole groups of a `ChunkDataset`; a known error is a value, so it has no traceback."""

    def __init__(self, samples: ChunkDataset) -> None:
        self.samples = samples

    def __getitem__(self, group: tuple[int, list[SampleKey]]) -> Group | StresnetError:
        number, keys = group
        try:
            rgb, flow, labels = zip(*(self.samples[key] for key in keys), strict=True)
            return Group(number, keys, torch.stack(rgb), torch.stack(flow), torch.tensor(labels))
        except StresnetError as error:
            return error


def load_groups(
    samples: ChunkDataset, sampler: GroupSampler, workers: int, *, pin: bool = False
) -> Generator[Group]:
    """Give the groups of every step, in order, prefetched by `workers` processes (0: by this one).

    The processes live until the iterator is exhausted or closed.

    Args:
        pin: in page-locked memory, from which a GPU copies faster.

    Raises:
        StoreError: a prepared video is damaged.
        TrainingError: a loader process died, or was silent for `LOADER_TIMEOUT`.
    """
    loader: DataLoader[Group | StresnetError] = DataLoader(
        GroupDataset(samples),
        sampler=sampler,
        batch_size=None,  # an item of the data set is a group already
        num_workers=workers,
        prefetch_factor=PREFETCHED if workers else None,
        timeout=LOADER_TIMEOUT if workers else 0,
        worker_init_fn=forward_signals,
        generator=torch.Generator(),  # else it draws from dropout's when it starts
        pin_memory=pin,
    )
    others = set(active_children())
    try:
        groups = iter(loader)  # starts the processes
        processes = set(active_children()) - others
        try:
            # torch's handler of SIGCHLD raises when a process dies: here, never in the caller.
            while (group := next(groups, None)) is not None:
                if isinstance(group, StresnetError):
                    raise group
                with child_signals_ignored():
                    yield group
                    dead = [process.exitcode for process in processes if process.exitcode]
                if dead:
                    raise RuntimeError(f"DataLoader worker exited with {dead[0]}")
        finally:  # a busy process would be waited for, and a hung one for ever
            with child_signals_ignored():
                for process in processes:
                    process.kill()
                    process.join()
    except RuntimeError as error:
        if "DataLoader" not in str(error):
            raise
        raise TrainingError(
            f"a loader process died or hung ({error})",
            remedy="free memory or repair the disk, then run the same command; or use --workers 0",
        ) from error


def require_shared_memory(settings: ChunkSettings, group: int, workers: int) -> None:
    """Check that the groups which loader processes hand over fit into /dev/shm (Linux).

    Raises:
        EnvironmentProblem: they do not; containers often have 64 MB of it.
    """
    if not workers or not SHARED.is_dir():
        return
    channels = {"rgb": 3, "flow": 2 * FLOW_FIELDS, "both": 3 + 2 * FLOW_FIELDS}[settings.modality]
    of_group = group * settings.chunks * channels * settings.size**2
    needed = of_group * (workers * PREFETCHED + 1)
    free = shutil.disk_usage(SHARED).free
    if free < needed:
        raise EnvironmentProblem(
            f"{SHARED} has {free / 1e6:.0f} MB free, and {workers} loader processes need "
            f"{needed / 1e6:.0f} MB of it",
            remedy="in a container, give it more (docker run --shm-size=4g), or use --workers 0",
        )


@contextmanager
def child_signals_ignored() -> Iterator[None]:
    """Set torch's handler of SIGCHLD aside.

    When a loader process dies, it raises in whatever the main thread is doing, which may be writing
    a checkpoint.
    """
    if sys.platform == "win32":  # which has no such signal
        yield
        return
    handler = signal.getsignal(signal.SIGCHLD)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)


def forward_signals(worker: int) -> None:
    """Have a loader process pass on signals that end a job to its training process.

    That process stops both. Schedulers signal every process of a job. A loader that ended by itself
    would be missing while the training process still works.
    """
    trainer = os.getppid()

    def forward(number: int, frame: FrameType | None) -> None:
        if sys.platform != "win32" and os.getppid() == trainer:  # there, `kill` ends it at once
            os.kill(trainer, number)

    for number in ending_signals():
        signal.signal(number, forward)
