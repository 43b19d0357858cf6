"""Which videos of a folder cannot be used, and which are odd. Nothing is written.

For each video, the header is read, the packets are counted, and the first frames, or all if asked,
are decoded. As in `prepare`, this happens in worker processes: a file that crashes the decoder
costs only itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from stresnet.data.splits.inputs import videos_of
from stresnet.data.video.decode import MAX_FRAMES, Frame, iter_frames
from stresnet.data.video.probe import VideoInfo, probe
from stresnet.errors import StresnetError, printable
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes

LOOKED_AT = 32  # frames decoded of each video
SHORT_SIDE = 64  # px, of the frames looked at
SMALL = 112  # px: the smallest crop of a recipe
USUAL_RATES = (10, 61)  # frames per second
BLACK = 32  # levels of 255; 16 is black where a video says so
CODING_NOISE = 6  # levels of 255, in pictures that are the same
REPEATED = 0.15  # levels of 255: pictures that differ less in the mean are one picture twice
MANY_REPEATED = 0.2  # of the pictures


@dataclass(frozen=True)
class VideoCondition:
    """The condition of one video.

    Attributes:
        unusable: why it cannot be used, or "".
        remedy: how to fix it.
        odd: what may surprise in training or prediction; the video is used all the same.
    """

    name: str
    unusable: str = ""
    remedy: str = ""
    odd: tuple[str, ...] = ()


def examine_videos(
    place: Path,
    *,
    thorough: bool = False,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> tuple[VideoCondition, ...]:
    """Look at a video, or at all videos of a folder at any depth; return their condition, by name.

    Args:
        thorough: decode every frame, so that damage in later ones shows too.
        workers: videos at a time; None is one for each processor core.
        on_progress: called after each video.

    Raises:
        DatasetError: there is no such place, or no video in it.
        UsageError: `workers` is less than 1.
    """
    videos = videos_of(place, by_name=True)
    conditions: dict[str, VideoCondition] = {}
    jobs = {name: (path, name) for path, name in videos}
    examine = partial(_examine, thorough)
    for name, outcome in map_in_processes(examine, jobs, workers=workers, on_progress=on_progress):
        if isinstance(outcome, StresnetError):
            problem = outcome.problem.removeprefix(f"{printable(jobs[name][0])}: ")
            outcome = VideoCondition(name, unusable=problem, remedy=outcome.remedy)
        conditions[name] = outcome
    return tuple(conditions[name] for _, name in videos)


def _examine(thorough: bool, video: tuple[Path, str]) -> VideoCondition:
    path, name = video
    info = probe(path)
    losses: list[str] = []
    frames = iter_frames(path, short_side=SHORT_SIDE, on_warning=losses.append)
    seen = list(islice(frames, LOOKED_AT))
    if thorough:
        deque(frames, maxlen=0)
    elif len(seen) == LOOKED_AT and info.loss:  # a shorter one was decoded to its end
        losses.append(info.loss)
    odd = dict.fromkeys([*losses, *_oddities(info, seen)])
    return VideoCondition(name, odd=tuple(odd))


def _oddities(info: VideoInfo, seen: Sequence[Frame]) -> Iterator[str]:
    if info.frames > MAX_FRAMES:
        yield f"{info.frames} frames, of which the first {MAX_FRAMES} are read"
    if len(seen) == 1:
        yield "a single picture: nothing moves"
    elif len(seen) <= FLOW_FIELDS:
        yield f"{len(seen)} frames, fewer than the {FLOW_FIELDS + 1} of one chunk: flow is repeated"
    if min(info.width, info.height) < SMALL:
        yield f"{info.width}x{info.height} pixels: the network sees it much enlarged"
    low, high = USUAL_RATES
    if info.fps and not low <= info.fps <= high:
        yield f"{info.fps:.3g} frames a second: flow is per frame, so all looks too " + (
            "fast" if info.fps < low else "slow"
        )
    if info.is_uneven:
        yield "uneven times between frames: flow is per frame, so speeds look uneven too"
    yield from info.not_applied
    if len(seen) > 1 and _stands_still(seen):
        is_black = seen[0].image.max() < BLACK
        yield f"nothing {'but black' if is_black else 'moves'} in the first {len(seen)} frames"
    elif (repeated := _repeated(seen)) > MANY_REPEATED * len(seen):
        yield f"{repeated} of the first {len(seen)} frames repeat the one before: no flow there"


def _repeated(seen: Sequence[Frame]) -> int:
    images = [frame.image.astype(np.int16) for frame in seen]
    return sum(bool(np.abs(b - a).mean() < REPEATED) for a, b in pairwise(images))


def _stands_still(seen: Sequence[Frame]) -> bool:
    first = seen[0].image.astype(np.int16)
    return all(np.abs(frame.image - first).max() <= CODING_NOISE for frame in seen)
