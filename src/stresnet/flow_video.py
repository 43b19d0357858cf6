"""A video's optical flow to look at: as colour beside the frames, or as .flo files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.video.decode import Frame, iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.data.video.folders import require_others
from stresnet.errors import UsageError, VideoError, printable
from stresnet.files import atomic_directory, require_writable
from stresnet.flow import grey, tv_l1, write_flo
from stresnet.flow.colour import to_colour

PAIRS = 16  # of frames, at a time
FULL_COLOUR_PX = 8.0  # px per frame at which a colour is full


def flow_view(
    video: Path,
    *,
    view: Path | None = None,
    flo: Path | None = None,
    max_px: float = FULL_COLOUR_PX,
    short_side: int = 256,
    threads: int = 1,
    device: str = "auto",
) -> int:
    """Compute the flow of a video and write it; return the number of flow fields.

    Args:
        view: an mp4: frame k on the left, on the right the flow from it to the next frame on the
            Middlebury wheel. The last frame has no flow and is left out.
        flo: folder for 000000.flo ...: the flow in pixels per frame, exact, as floats.
        max_px: pixels per frame at which a colour is full; the same for the whole video.
        short_side: of the frames, in pixels.
        threads: for the optical flow; the result does not depend on it.
        device: where the optical flow is computed (see `stresnet.device`).

    Raises:
        VideoError: the video cannot be decoded, or has a single frame.
        UsageError: neither output is asked for, or an argument makes no sense.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    if view is None and flo is None:
        raise UsageError("nothing to write", remedy="give --view FILE.mp4, --flo FOLDER, or both")
    if not max_px > 0:
        raise UsageError(f"max_px is {max_px}, expected above 0")
    if view is not None:
        require_others([view], [video])
    for out in filter(None, (view, flo)):
        require_writable(out.parent, mark=False)
    fields = 0
    with ExitStack() as stack:
        writer = stack.enter_context(video_writer(view)) if view else None
        folder = stack.enter_context(atomic_directory(flo, ours=r"\d{6}\.flo$")) if flo else None
        for frame, field in _frames_with_flow(video, short_side, threads, device):
            if writer is not None:
                colour = to_colour(field, max_px)
                writer.add(np.concatenate([frame.image, colour], axis=1), frame.time)
            if folder is not None:
                write_flo(folder / f"{fields:06d}.flo", field)
            fields += 1
        if not fields:
            raise VideoError(
                f"{printable(video)}: has a single frame, and so no flow",
                remedy="choose a longer one",
            )
    return fields


def _frames_with_flow(
    video: Path, short_side: int, threads: int, device: str
) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
    """Each frame but the last, with the flow (2,H,W) from it to the next."""
    block: list[Frame] = []
    for frame in iter_frames(video, short_side=short_side):
        block.append(frame)
        if len(block) > max(threads, PAIRS):
            yield from _flow_of(block, threads, device)
            block = block[-1:]
    if len(block) > 1:
        yield from _flow_of(block, threads, device)


def _flow_of(
    block: list[Frame], threads: int, device: str
) -> Iterator[tuple[Frame, NDArray[np.float32]]]:
    luma = grey(np.stack([frame.image for frame in block]))
    yield from zip(block[:-1], tv_l1(luma, threads=threads, device=device), strict=True)
