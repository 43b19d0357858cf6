"""A camera -> what happens now.

    camera --(queue: drops)--> flow --(queue)--> the newest window --> network --> LiveLabel
    \\___ thread ___/            \\_ thread _/          \\_______ the caller's thread _______/

Each stage takes the newest there is, so that none is ever behind by more than its own work and a
queue: what a slow machine cannot look at is dropped and counted.
"""

from __future__ import annotations

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
from stresnet.evaluation.fully_convolutional import VideoScores, score_video
from stresnet.evaluation.protocols import QUICK, Protocol
from stresnet.flow import FAST, TVL1Parameters
from stresnet.model import STResNet, load_model
from stresnet.prediction.encoded_frames import EncodedFrame, EncodedVideo, encode_frames
from stresnet.prediction.latest_queue import LatestQueue
from stresnet.prediction.ranking import ClassScore, ranked
from stresnet.prediction.windows import MAX_FRAMES_OF_WINDOW

WAITING_FRAMES = 8  # between camera and flow: a third of a second
_FAREWELL = 5.0  # seconds that a camera may take for its last frame


@dataclass(frozen=True)
class LiveLabel:
    """What happens at `time`, in seconds since the first frame.

    Attributes:
        label: the best class.
        changed: whether it is another one than before.
        predictions: all classes, best first; scores are means over the last windows.
        frames_per_second: that the network's windows are made of.
        dropped: frames that the camera gave and nobody had time for, since the start.
        delay: seconds from the newest frame seen to this answer.
    """

    time: float
    label: str
    changed: bool
    predictions: tuple[ClassScore, ...]
    frames_per_second: float
    dropped: int
    delay: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def live(
    model: STResNet | str | Path,
    frames: Iterable[Frame],
    *,
    window: float = 2.0,
    stride: float = 0.5,
    smooth: float = 1.0,
    flow: TVL1Parameters = FAST,
    protocol: Protocol = QUICK,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
) -> Generator[LiveLabel, None, None]:
    """Recognise what happens in front of a camera, until its frames end or this is closed.

    Args:
        model: a network, or what `load_model` takes: a folder that `save_pretrained` wrote.
        frames: as they come, for example `stresnet.data.video.camera.camera_frames("0")`; read in a
            thread, and closed there if it is a generator.
        window: what the network sees at a time, seconds; the first answer comes when it is full.
        stride: seconds between two answers, or more where the machine is slower.
        smooth: scores are averaged over this many seconds.
        flow, protocol, device, precision, threads: as of `predict`; quicker by default.

    Raises:
        UsageError: a duration makes no sense.
        What `frames` raises.
    """
    net = model if isinstance(model, STResNet) else load_model(model, device=device)
    net.require_class_names()
    if not stride > 0 or not 0 < window <= 60 or smooth < 0:
        raise UsageError(
            f"window {window} s, stride {stride} s, smooth {smooth} s; expected above 0, the "
            "window at most 60"
        )
    _warm_up(net, flow, protocol, precision)
    with _Stages(frames, flow, threads) as stages:
        recent: deque[tuple[float, VideoScores]] = deque()
        label = ""
        for clip in stages.clips(window, stride):
            now = clip[-1].time
            scores = score_video(net, EncodedVideo(clip), protocol=protocol, precision=precision)
            recent.append((now, scores))
            while recent[0][0] < now - smooth:
                recent.popleft()
            best = ranked(net.class_names, _mean([each for _, each in recent]))
            yield LiveLabel(
                time=now,
                label=best[0].label,
                changed=best[0].label != label,
                predictions=best,
                frames_per_second=_rate(clip),
                dropped=stages.dropped,
                delay=stages.age(now),
            )
            label = best[0].label


class _Stages:
    """The two threads before the network; inside `with` they run."""

    def __init__(self, frames: Iterable[Frame], flow: TVL1Parameters, flow_threads: int) -> None:
        self._frames, self._flow, self._flow_threads = frames, flow, flow_threads
        self._seen: LatestQueue[Frame] = LatestQueue(WAITING_FRAMES)
        self._coded: LatestQueue[EncodedFrame] = LatestQueue(MAX_FRAMES_OF_WINDOW)
        self._zero: float | None = None  # the clock at the time 0 of the frames
        self._left = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"live{work.__name__}", daemon=True)
            for work in (self._watch, self._code)
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
        while new := self._coded.take_all():
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
        for thread in self._threads:
            thread.join(_FAREWELL)  # a dead camera is not waited for

    def _watch(self) -> None:
        with _ending(self._seen):
            for frame in self._frames:
                if self._zero is None:
                    self._zero = time.monotonic() - frame.time
                if self._left.is_set():
                    break
                self._seen.put(frame)
            if isinstance(self._frames, Generator):
                self._frames.close()

    def _code(self) -> None:
        with _ending(self._coded):
            coded = encode_frames(
                self._seen, flow=self._flow, threads=self._flow_threads, at_once=1
            )
            for frame in coded:
                if self._left.is_set():
                    break
                self._coded.put(frame)


@contextmanager
def _ending(box: LatestQueue[Any]) -> Iterator[None]:
    """Close a queue at the end, with the error that ended it if there is one."""
    try:
        yield
    except Exception as error:  # raised again where the box is read
        box.close(error)
    else:
        box.close()


def _warm_up(net: STResNet, flow: TVL1Parameters, protocol: Protocol, precision: str) -> None:
    """Load and compile what the first answer needs, before the camera's frames grow old."""
    frames = (Frame(np.zeros((256, 256, 3), np.uint8), time) for time in (0.0, 1.0))
    clip = list(encode_frames(frames, flow=flow))
    score_video(net, EncodedVideo(clip), protocol=protocol, precision=precision)


def _rate(clip: Sequence[EncodedFrame]) -> float:
    lasting = clip[-1].time - clip[0].time
    return (len(clip) - 1) / lasting if lasting > 0 else 0.0


def _mean(scores: Sequence[VideoScores]) -> VideoScores:
    return VideoScores(
        np.mean([each.appearance for each in scores], axis=0),
        np.mean([each.motion for each in scores], axis=0),
    )
