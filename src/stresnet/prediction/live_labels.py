"""A camera -> what happens now.

    camera --(queue: drops)--> flow --(queue)--> the newest window --> network --> LiveLabel
    \\___ thread ___/            \\_ thread _/          \\_______ the caller's thread _______/

Each stage takes the newest item there is, so none is ever late by more than its own work and a
queue: what a slow machine has no time for is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from stresnet.data.video.decode import Frame
from stresnet.errors import UsageError
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.evaluation.protocols import Protocol
from stresnet.flow import FAST, TVL1Parameters
from stresnet.model import STResNet
from stresnet.prediction.encoded_frames import EncodedFrame, EncodedVideo, encode_frames
from stresnet.prediction.latest_queue import LatestQueue
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import ClassScore, ranked
from stresnet.prediction.windows import MAX_FRAMES_OF_WINDOW
from stresnet.workers import thread_count

WAITING_FRAMES = 8  # between camera and flow: a third of a second
FAREWELL = 12.0  # seconds for a camera's last frame: longer than `camera.TIMEOUT`

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveLabel:
    """What happens at `time`, in seconds since the first frame.

    Attributes:
        label: the best class.
        changed: whether it differs from the one before.
        predictions: all classes, best first; scores are means over the last windows.
        frames_per_second: of the frames in the network's window.
        dropped: frames of the camera that there was no time for, since the start.
        delay: seconds from the newest frame seen to this answer.
        device, precision: where and with which numbers the network ran ("cpu", "fp32").
    """

    time: float
    label: str
    changed: bool
    predictions: tuple[ClassScore, ...]
    frames_per_second: float
    dropped: int
    delay: float
    device: str = ""
    precision: str = ""

    @property
    def score(self) -> float:
        """The best class's score of both streams, in [0, 1]."""
        return self.predictions[0].score

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def live(
    model: STResNet | str | Path,
    frames: Iterable[Frame],
    *,
    window: float = 2.0,
    stride: float = 0.5,
    smooth: float = 1.0,
    flow: TVL1Parameters = FAST,
    protocol: Protocol | str = "quick",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Generator[LiveLabel, None, None]:
    """Recognise what happens in front of a camera, until its frames end or the generator is closed.

    Args:
        model: a network, or what `load_model` takes.
        frames: as they come, for example `stresnet.data.video.camera.camera_frames("0")`; read in a
            thread, and closed there if it is a generator.
        window: seconds that the network sees at a time; the first answer comes when it is full.
        stride: seconds between two answers; more where the machine is slower.
        smooth: scores are averaged over this many seconds.
        flow, protocol, device, precision, threads: as in `predict`; faster by default.

    Raises:
        UsageError: a duration makes no sense.
        What `frames` raises.
    """
    if not stride > 0 or not 0 < window <= 60 or smooth < 0:
        raise UsageError(
            f"window {window} s, stride {stride} s, smooth {smooth} s; expected above 0, the "
            "window at most 60"
        )
    recogniser = Recogniser(model, device=device, precision=precision, protocol=protocol)
    _warm_up(recogniser, flow)
    with _Stages(frames, flow, thread_count(threads), recogniser.device) as stages:
        recent: deque[tuple[float, VideoScores]] = deque()
        label = ""
        for clip in stages.clips(window, stride):
            now = clip[-1].time
            recent.append((now, recogniser.scores(EncodedVideo(clip))))
            while recent[0][0] < now - smooth:
                recent.popleft()
            appearance = np.mean([scores.appearance for _, scores in recent], axis=0)
            motion = np.mean([scores.motion for _, scores in recent], axis=0)
            best = ranked(recogniser.class_names, appearance, motion)
            yield LiveLabel(
                time=now,
                label=best[0].label,
                changed=best[0].label != label,
                predictions=best,
                frames_per_second=_rate(clip),
                dropped=stages.dropped,
                delay=stages.age(now),
                device=recogniser.device,
                precision=recogniser.precision,
            )
            label = best[0].label


@dataclass(frozen=True, eq=False)
class _NumberedFrame(Frame):
    """A frame, and how many came before it, including those dropped."""

    number: int


class _Stages:
    """The two threads before the network; inside `with` they run."""

    def __init__(
        self, frames: Iterable[Frame], flow: TVL1Parameters, flow_threads: int, device: str
    ) -> None:
        self._frames, self._flow = frames, flow
        self._flow_threads, self._device = flow_threads, device
        self._seen: LatestQueue[_NumberedFrame] = LatestQueue(WAITING_FRAMES)
        self._encoded: LatestQueue[EncodedFrame] = LatestQueue(MAX_FRAMES_OF_WINDOW)
        self._zero: float | None = None  # the clock at the time 0 of the frames
        self._left = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"live{work.__name__}", daemon=True)
            for work in (self._watch, self._encode)
        ]

    @property
    def dropped(self) -> int:
        return self._seen.dropped

    def age(self, frame_time: float) -> float:
        """Seconds since a frame came."""
        return max(time.monotonic() - (self._zero or 0.0) - frame_time, 0.0)

    def clips(self, window: float, stride: float) -> Iterator[list[EncodedFrame]]:
        """The last `window` seconds, every `stride` seconds or as often as they are asked for."""
        kept: deque[EncodedFrame] = deque()
        due: float | None = None
        while new := self._encoded.take_all():
            kept.extend(new)
            newest = kept[-1].time
            due = kept[0].time + window if due is None else due
            while kept[0].time < newest - window:
                kept.popleft()
            if newest >= due:
                yield list(kept)
                due = newest + stride

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._seen.close()
        until = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))
            if thread.is_alive():
                logger.warning(
                    f"the camera gave no frame for {FAREWELL:g} s; it stays open until it does"
                )

    def _watch(self) -> None:
        with _ending(self._seen):
            try:
                for number, frame in enumerate(self._frames):
                    if self._zero is None:
                        self._zero = time.monotonic() - frame.time
                    if self._left.is_set():
                        break
                    self._seen.put(_NumberedFrame(frame.image, frame.time, number))
            finally:
                if isinstance(self._frames, Generator):
                    self._frames.close()

    def _encode(self) -> None:
        with _ending(self._encoded):
            # Where frames were dropped, flow leads over the gap; the network knows flow per frame.
            for frame in encode_frames(
                self._seen,
                flow=self._flow,
                threads=self._flow_threads,
                device=self._device,
                at_once=1,
                steps=lambda before, after: after.number - before.number,
            ):
                if self._left.is_set():
                    break
                self._encoded.put(frame)


@contextmanager
def _ending(queue: LatestQueue[Any]) -> Iterator[None]:
    """Close a queue at the end, with the error that ended it if there is one."""
    try:
        yield
    except Exception as error:  # raised again where the queue is read
        queue.close(error)
    else:
        queue.close()


def _warm_up(recogniser: Recogniser, flow: TVL1Parameters) -> None:
    """Load and compile what the first answer needs, before the camera's frames grow old."""
    black = np.zeros((recogniser.short_side, recogniser.short_side, 3), np.uint8)
    frames = (Frame(black, time) for time in (0.0, 1.0))
    recogniser.scores(
        EncodedVideo(list(encode_frames(frames, flow=flow, device=recogniser.device)))
    )


def _rate(clip: Sequence[EncodedFrame]) -> float:
    seconds = clip[-1].time - clip[0].time
    return (len(clip) - 1) / seconds if seconds > 0 else 0.0
