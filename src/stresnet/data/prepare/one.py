"""One video -> one prepared video: decode, flow, store.

iter_frames -> grey -> tv_l1 -> to_bytes -> StoreWriter        (32 frames at a time)
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
from stresnet.flow import AUTHORS, TVL1Parameters, grey, to_bytes, tv_l1
from stresnet.flow.quantize import SHORT_SIDE, stored_scale
from stresnet.prefetch import prefetch

BLOCK = 32  # frames in memory at a time


def prepare_video(
    video: Path,
    store: Path,
    *,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> StoredVideo:
    """Decode a video file and compute its flow; write both to `store`, whole or not at all.

    Args:
        short_side: of the frames, in pixels.
        threads: for the optical flow; the result does not depend on it.
        on_frames: called now and then with the number of frames written so far.

    Raises:
        VideoError: the video cannot be decoded.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    origin = Origin(video.name, content_sha256(video, on_block=lambda: on_frames(0)))
    warnings: list[str] = []
    frames = iter_frames(video, short_side=short_side, on_warning=warnings.append)
    _write(frames, store, origin, parameters, short_side, threads, on_frames, warnings)
    return StoredVideo(store)


def prepare_frames(
    images: NDArray[np.uint8],
    store: Path,
    *,
    fps: float,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
) -> StoredVideo:
    """As `prepare_video`, for frames (N,H,W,3) uint8 RGB that are in memory already.

    Raises:
        UsageError: the array is not a video.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    origin = Origin("array", hashlib.sha256(images.tobytes()).hexdigest())
    frames = frames_of_array(images, fps=fps, short_side=short_side)
    _write(frames, store, origin, parameters, short_side, threads)
    return StoredVideo(store)


def _write(
    frames: Iterator[Frame],
    store: Path,
    origin: Origin,
    parameters: TVL1Parameters,
    short_side: int,
    threads: int,
    on_frames: Callable[[int], None] = lambda frames: None,
    warnings: Sequence[str] = (),  # complete after the last frame
) -> None:
    made = preparation(parameters, short_side=short_side)
    libraries = {name: version(name) for name in ("stresnet", "numba", "simplejpeg")}
    libraries = library_versions() | libraries
    scale = np.float32(stored_scale(short_side))
    last: NDArray[np.uint8] | None = None  # (1,H,W) grey, of the block before
    written = 0
    with (
        store_writer(store, origin=origin, preparation=made, libraries=libraries) as writer,
        prefetch(_blocks(frames)) as blocks,  # decoded while flow is computed
    ):
        for block in blocks:
            images = np.stack([frame.image for frame in block])
            luma = grey(images)
            joined = luma if last is None else np.concatenate([last, luma])
            writer.add_frames(images, [frame.time for frame in block])
            if len(joined) > 1:
                flow = tv_l1(joined, parameters=parameters, threads=threads)
                writer.add_flow(to_bytes(flow * scale))
            last = luma[-1:]
            written += len(block)
            on_frames(written)
        writer.warnings.extend(warnings)


def _blocks(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    while block := list(islice(frames, BLOCK)):
        yield block
