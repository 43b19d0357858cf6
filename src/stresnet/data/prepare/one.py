"""One video -> one prepared video: decode, flow, store.

iter_frames -> grey -> tv_l1 -> to_bytes -> StoreWriter        (32 frames at a time; on a GPU 128)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.reader import Origin, StoredVideo
from stresnet.data.store.writer import store_writer
from stresnet.data.video.container import content_sha256
from stresnet.data.video.decode import Frame, frames_of_array, iter_frames, library_versions
from stresnet.device import gpu
from stresnet.flow import AUTHORS, TVL1Parameters, grey, to_bytes, tv_l1
from stresnet.flow.quantize import SHORT_SIDE, stored_scale
from stresnet.flow.tv_l1 import kernel
from stresnet.prefetch import prefetch

BLOCK = 32  # frames in memory at a time
GPU_BLOCK = 128


def prepare_video(
    video: Path,
    store: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    device: str = "auto",
    on_frames: Callable[[int], None] = lambda frames: None,
) -> StoredVideo:
    """Decode a video file and compute its flow; write both to `store`, whole or not at all.

    Args:
        short_side: of the frames, in pixels.
        threads: for the optical flow on a processor; the result does not depend on it.
        device: where the optical flow is computed (see `stresnet.device`).
        on_frames: called now and then with the number of frames written so far.

    Raises:
        VideoError: the video cannot be decoded.
        EnvironmentProblem: the disk is full, the folder cannot be written, or the device is not
            there, out of memory, busy or gone.
    """
    origin = Origin(video.name, content_sha256(video, on_block=lambda: on_frames(0)))
    warnings: list[str] = []
    frames = iter_frames(video, short_side=short_side, on_warning=warnings.append)
    _write(frames, store, origin, parameters, short_side, threads, device, on_frames, warnings)
    return StoredVideo(store)


def prepare_frames(
    images: NDArray[np.uint8],
    store: Path,
    *,
    fps: float,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    device: str = "auto",
) -> StoredVideo:
    """As `prepare_video`, for frames (N,H,W,3) uint8 RGB that are in memory already.

    Raises:
        UsageError: the array is not a video.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    origin = Origin("array", hashlib.sha256(images.tobytes()).hexdigest())
    frames = frames_of_array(images, fps=fps, short_side=short_side)
    _write(frames, store, origin, parameters, short_side, threads, device)
    return StoredVideo(store)


def _write(
    frames: Iterator[Frame],
    store: Path,
    origin: Origin,
    parameters: TVL1Parameters,
    short_side: int,
    threads: int,
    device: str,
    on_frames: Callable[[int], None] = lambda frames: None,
    warnings: Sequence[str] = (),  # complete after the last frame
) -> None:
    made = preparation(parameters, short_side=short_side)
    libraries = {name: version(name) for name in ("stresnet", "simplejpeg")}
    libraries = library_versions() | libraries | kernel(device)
    scale = np.float32(stored_scale(short_side))
    last: NDArray[np.uint8] | None = None  # (1,H,W) grey, of the block before
    written = 0
    size = BLOCK if gpu(device) is None else GPU_BLOCK
    with (
        store_writer(store, origin=origin, preparation=made, libraries=libraries) as writer,
        prefetch(_blocks(frames, size)) as blocks,  # decoded while flow is computed
    ):
        for block in blocks:
            images = np.stack([frame.image for frame in block])
            luma = grey(images)
            joined = luma if last is None else np.concatenate([last, luma])
            writer.add_frames(images, [frame.time for frame in block])
            if len(joined) > 1:
                flow = tv_l1(joined, parameters=parameters, device=device, threads=threads)
                writer.add_flow(to_bytes(flow * scale))
            last = luma[-1:]
            written += len(block)
            on_frames(written)
        writer.warnings.extend(warnings)


def _blocks(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while block := list(islice(frames, size)):
        yield block
