"""A long video -> overlapping windows, each of them a short video for the network.

    frames --(flow, JPEG)--> encoded frames --(sliding)--> windows

Only the frames of the window being made are in memory, as JPEGs like those of the store: a window
is bit for bit what preparing the same frames as a video of their own would give.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from stresnet.data.loading.chunks import Cut, FramesAndFlow
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.decode import PAUSE, PAUSE_STEPS, Frame
from stresnet.errors import VideoError
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.prediction.encoded_frames import EncodedVideo, encode_frames

MAX_FRAMES_OF_WINDOW = 5_000  # about 500 MB
_STEP_OF_ONE = 1 / 25  # seconds that a video's only frame is shown
_ROUNDING = 1e-6  # seconds

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Window:
    """The part of a video from `start` to `end`, in seconds since the start of the file."""

    start: float
    end: float
    video: FramesAndFlow


def windows_of_frames(
    frames: Iterable[Frame],
    *,
    length: float,
    stride: float,
    flow: TVL1Parameters = AUTHORS,
    threads: int | None = None,
    device: str = "auto",
) -> Iterator[Window]:
    """Yield the windows of scaled frames, each as soon as it is complete; see `sliding`.

    Raises:
        VideoError: too many frames in a window.
    """
    encoded = encode_frames(frames, flow=flow, threads=threads, device=device)
    timed = ((frame.time, frame) for frame in encoded)
    for start, end, part in sliding(timed, length, stride):
        yield Window(start, end, EncodedVideo(part))


def windows_of_store(stored: StoredVideo, *, length: float, stride: float) -> Iterator[Window]:
    """Yield the same windows of a prepared video."""
    timed = ((float(time), number) for number, time in enumerate(stored.times))
    for start, end, part in sliding(timed, length, stride):
        yield Window(start, end, Cut(stored, part[0], part[-1]))


def sliding(
    timed: Iterable[tuple[float, Item]], length: float, stride: float
) -> Iterator[tuple[float, float, list[Item]]]:
    """Cut a sequence of (seconds, item), times increasing, into (start, end, items).

    From the first item on, one part begins every `stride` seconds and holds what lies in the
    `length` seconds from there. The last part ends with the sequence. All of it is seen unless
    `stride` is longer than `length`. A sequence shorter than `length` is one part. Parts without
    items are left out, and a part after such a gap starts with its first item.

    Raises:
        VideoError: too many items in a part.
    """
    kept: deque[tuple[float, Item]] = deque()
    number, last = 0, 0.0  # of the next part; time so far
    interval = 0.0  # between the last two items
    steps, shown = 0, 0.0  # between items, without pauses, and their sum
    until = -math.inf  # where the last part ended
    resumed = 0.0  # where the latest gap ended
    zero: float | None = None  # the first item's time; all others count from there
    for seconds, item in timed:
        zero = seconds if zero is None else zero
        time = seconds - zero
        # Two long intervals, one after the other, are slow pictures, each shown until the next one.
        is_slow = time - last <= 1.5 * interval
        is_usual = time - last <= max(PAUSE, PAUSE_STEPS * shown / max(steps, 1)) or is_slow
        # The last picture before a pause is shown no longer than the others.
        limit = math.inf if is_usual else last + (shown / steps if steps else _STEP_OF_ONE)
        while kept and time >= number * stride + length - _ROUNDING:
            start = number * stride
            if part := _since(start, kept, before=start + length):
                until = time if is_usual and time - last > length else min(start + length, limit)
                yield zero + max(start, resumed), zero + until, part
            number += 1
            _forget(kept, min(number * stride, time - length))
        _forget(kept, min(number * stride, time - length))
        if not kept:  # a gap: continue with the first part that holds this item
            number = max(number, math.floor((time - length) / stride) + 1)
            resumed = time
        kept.append((time, item))
        if len(kept) > MAX_FRAMES_OF_WINDOW:
            raise VideoError(
                f"more than {MAX_FRAMES_OF_WINDOW} frames in {length:g} seconds",
                remedy="choose a shorter window",
            )
        if is_usual:
            steps, shown = steps + (time > 0), shown + time - last
        interval, last = time - last, time
    if zero is None:
        return
    step = shown / steps if steps else _STEP_OF_ONE
    end = last + min(step, length)  # so the last part holds the last item
    if end > until + _ROUNDING:
        # Up to a frame's time longer than the others, so that no item falls in between.
        start = max(min(end - length, number * stride), 0.0)
        yield zero + max(start, resumed), zero + end, _since(start, kept)


def _since(
    start: float, kept: Iterable[tuple[float, Item]], before: float = math.inf
) -> list[Item]:
    return [item for at, item in kept if start - _ROUNDING <= at < before - _ROUNDING]


def _forget(kept: deque[tuple[float, Item]], before: float) -> None:
    """Drop what neither the next part nor the last one, which ends later still, will hold."""
    while kept and kept[0][0] < before - _ROUNDING:
        kept.popleft()
