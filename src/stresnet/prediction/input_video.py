"""What may be given as a video: a file, frames in memory, or a prepared video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.decode import Frame, frames_of_array, iter_frames
from stresnet.data.video.probe import probe
from stresnet.errors import UsageError
from stresnet.flow import TVL1Parameters
from stresnet.prediction.result import TimelineSettings

if TYPE_CHECKING:  # torch; it is imported while the first video is being prepared
    import torch

    from stresnet.prediction.windows import Window

Video: TypeAlias = (
    "str | Path | StoredVideo | NDArray[np.uint8] | torch.Tensor | Sequence[Any]"  # frames, too
)
MAX_FRAMES = 5_000_000  # of one file, two days; a forged file must come to an end


def as_array(frames: NDArray[np.uint8] | torch.Tensor | Sequence[Any]) -> NDArray[np.uint8]:
    """Return frames as one array (N,H,W,3): from an array, a tensor, arrays or PIL images.

    Raises:
        UsageError: the pictures of a list differ in size.
    """
    if isinstance(frames, list | tuple):
        pictures = [np.asarray(each.convert("RGB") if hasattr(each, "convert") else each)
                    for each in frames]  # fmt: skip
        if len({picture.shape for picture in pictures}) > 1:
            raise UsageError("the frames differ in size", remedy="give pictures of one size")
        return np.stack(pictures) if pictures else np.empty((0, 0, 0, 3), np.uint8)
    if hasattr(frames, "detach"):  # a tensor; torchcodec and others put channels second
        frames = frames.detach().cpu().numpy()
        if frames.ndim == 4 and frames.shape[-1] != 3 and frames.shape[1] == 3:
            frames = frames.transpose(0, 2, 3, 1)
    return np.asarray(frames)


def windows_of(
    video: Video,
    settings: TimelineSettings,
    fps: float,
    flow: TVL1Parameters,
    side: int,
    threads: int,
    device: str,
    warnings: list[str],
) -> Iterator[Window]:
    """Cut a video into windows; its warnings are complete after the last one."""
    from stresnet.prediction.windows import windows_of_frames, windows_of_store

    length, stride = settings.window, settings.stride
    if isinstance(video, StoredVideo):
        warnings.extend(video.warnings)
        return windows_of_store(video, length=length, stride=stride)
    return windows_of_frames(
        frames_of(video, fps, side, warnings),
        length=length,
        stride=stride,
        flow=flow,
        threads=threads,
        device=device,
    )


def frames_of(
    video: str | Path | NDArray[np.uint8] | torch.Tensor | Sequence[Any],
    fps: float,
    side: int,
    warnings: list[str],
) -> Iterator[Frame]:
    """Frames with a short side of `side` pixels; `warnings` are complete after the last one."""
    if isinstance(video, str | Path):
        return iter_frames(
            Path(video), short_side=side, max_frames=MAX_FRAMES, on_warning=warnings.append
        )
    return frames_of_array(as_array(video), fps=fps, short_side=side)


def seconds_of(video: Video, fps: float) -> float:
    """How long a video is; for a file what its header says, 0 if it says nothing."""
    if isinstance(video, StoredVideo):
        return video.duration
    if isinstance(video, str | Path):
        return probe(Path(video)).seconds
    return len(video) / fps


def name_of(video: Video) -> str:
    """What results call a video."""
    if isinstance(video, StoredVideo):
        return video.index.origin.name
    return str(video) if isinstance(video, str | Path) else "array"
