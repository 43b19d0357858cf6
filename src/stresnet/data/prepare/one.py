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

from stresnet.data.loading.sampling import Indices, tested_fields
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.format import NO_MOTION, Origin
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.writer import store_writer
from stresnet.data.video.container import content_sha256
from stresnet.data.video.decode import Frame, frames_of_array, iter_frames, library_versions
from stresnet.data.video.probe import probe
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
    chunks: int | None = None,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> StoredVideo:
    """Decode a video file and compute its flow; write both to `store`, whole or not at all.

    Args:
        short_side: of the frames, in pixels.
        threads: for the optical flow on a processor; the result does not depend on it.
        device: where the optical flow is computed (see `stresnet.device`).
        chunks: compute only the flow that this many testing chunks use; the rest is stored as no
            motion, and the store says so. None: all of it.
        on_frames: called now and then with the number of frames written so far.

    Raises:
        VideoError: the video cannot be decoded.
        EnvironmentProblem: the disk is full, the folder cannot be written, or the device is not
            there, out of memory, busy or gone.
    """
    origin = Origin(video.name, content_sha256(video, on_block=lambda: on_frames(0)))
    count = 0 if chunks is None else probe(video).frames
    while True:
        fields = None if chunks is None else tested_fields(max(count, 1), chunks)
        warnings: list[str] = []
        frames = iter_frames(video, short_side=short_side, on_warning=warnings.append)
        written = _write(
            frames, store, origin, parameters, short_side, threads, device, fields, on_frames,
            warnings,
        )  # fmt: skip
        if chunks is None or written == count:
            return StoredVideo(store)
        count = written  # its packets were not its frames; now their number is known


def prepare_frames(
    images: NDArray[np.uint8],
    store: Path,
    *,
    fps: float,
    parameters: TVL1Parameters = AUTHORS,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    device: str = "auto",
    chunks: int | None = None,
) -> StoredVideo:
    """Like `prepare_video`, for frames (N,H,W,3) uint8 RGB that are in memory already.

    Raises:
        UsageError: the array is not a video.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    origin = Origin("array", hashlib.sha256(images.tobytes()).hexdigest())
    frames = frames_of_array(images, fps=fps, short_side=short_side)
    fields = None if chunks is None else tested_fields(max(len(images), 1), chunks)
    _write(frames, store, origin, parameters, short_side, threads, device, fields)
    return StoredVideo(store)


def _write(
    frames: Iterator[Frame],
    store: Path,
    origin: Origin,
    parameters: TVL1Parameters,
    short_side: int,
    threads: int,
    device: str,
    fields: Indices | None,
    on_frames: Callable[[int], None] = lambda frames: None,
    warnings: Sequence[str] = (),  # complete after the last frame
) -> int:
    """Write a video, with the flow of these fields or of all; return how many frames it has."""
    made = preparation(parameters, short_side=short_side)
    if fields is not None:  # so that it is never taken for a whole one
        made |= {"flow_fields": "only what is looked at"}
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
                count = len(joined) - 1
                flow = np.full((count, 2, *joined.shape[1:]), NO_MOTION, np.uint8)
                for run in _runs(fields, max(written - 1, 0), count):
                    pairs = tv_l1(
                        joined[run[0] : run[-1] + 2],
                        parameters=parameters,
                        device=device,
                        threads=threads,
                    )
                    flow[run] = to_bytes(pairs * scale)
                writer.add_flow(flow)
            last = luma[-1:]
            written += len(block)
            on_frames(written)
        writer.warnings.extend(warnings)
    return written


def _runs(fields: Indices | None, first: int, count: int) -> Iterator[Indices]:
    """The wanted fields among the `count` from `first` on, counted from there, run by run."""
    wanted = np.arange(count)
    if fields is not None:
        wanted = fields[(fields >= first) & (fields < first + count)] - first
    if len(wanted):
        yield from np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1)


def _blocks(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while block := list(islice(frames, size)):
        yield block
