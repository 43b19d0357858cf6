"""Improved trajectories: how well and how fast dense flow serves them, and how long a video takes.

    python benchmarks/idt.py [VIDEO ...]        without videos: the clips that ship with stresnet

Process time of one core, best of several; frames of 320x240.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from stresnet.data.video.decode import iter_frames
from stresnet.flow import FAST, grey, tv_l1
from stresnet.idt.histograms import CellHistograms
from stresnet.idt.motion import Camera, DenseFlow, stabilised
from stresnet.idt.trajectories import iter_trajectories

CLIPS = Path(__file__).parent.parent / "src/stresnet/assets/clips"
HEIGHT, WIDTH = 240, 320
SCENES = 4  # of each video
SIDE = 64  # pixels of the moved object
BORDER = 20  # pixels, not measured
REPEATS = 2

Grey = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]


def main() -> None:
    """Print three tables."""
    cv2.setNumThreads(1)
    videos = [Path(name) for name in sys.argv[1:]] or sorted(CLIPS.rglob("*.mp4"))
    clips = [quarter_vga(video) for video in videos]
    console = Console()
    console.print(flow_table(clips))
    console.print(part_table(clips[0]))
    console.print(video_table(videos, clips))


def quarter_vga(video: Path) -> Grey:
    """(N, 240, 320): the middle of the frames."""
    frames = grey(np.stack([frame.image for frame in iter_frames(video, short_side=HEIGHT)]))
    left = (frames.shape[2] - WIDTH) // 2
    if left < 0:
        frames = np.stack([cv2.resize(frame, (WIDTH, HEIGHT)) for frame in frames])
    return np.ascontiguousarray(frames[:, :HEIGHT, max(left, 0) :][..., :WIDTH])


def flow_table(clips: list[Grey]) -> Table:
    """Errors on frames of which we know how they moved."""
    methods: dict[str, Callable[[Grey, Grey], Flow]] = {
        "DIS, ours": DenseFlow(),
        "DIS, fast": dis(cv2.DISOPTICAL_FLOW_PRESET_FAST),
        "DIS, medium": dis(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
        "Farneback": farneback,
        "TV-L1, FAST": lambda a, b: tv_l1(np.stack([a, b]), parameters=FAST)[0],
    }
    rng = np.random.default_rng(0)
    scenes = [
        scene(clip[0], clips[(place + 1) % len(clips)][0], rng)
        for place, clip in enumerate(clips)
        for _ in range(SCENES)
    ]
    table = Table("", "background, px", "object, px", "ms", title="mean end-point error, time")
    inner = np.s_[BORDER:-BORDER, BORDER:-BORDER]
    for name, method in methods.items():
        errors, times = [], []
        for first, second, truth, on_object in scenes:
            began = time.process_time()
            flow = method(first, second)
            times.append(time.process_time() - began)
            off = np.hypot(*(flow - truth))[inner]
            errors.append((off[~on_object[inner]].mean(), off[on_object[inner]].mean()))
        background, moved = np.mean(errors, axis=0)
        table.add_row(name, f"{background:.2f}", f"{moved:.2f}", f"{1e3 * min(times):.1f}")
    return table


def dis(preset: int) -> Callable[[Grey, Grey], Flow]:
    """One of OpenCV's presets."""
    solver = cv2.DISOpticalFlow.create(preset)
    return lambda first, second: solver.calc(first, second, None).transpose(2, 0, 1)


def farneback(first: Grey, second: Grey) -> Flow:
    """With the authors' parameters: window 10, 2 iterations, polynomials of 7 pixels."""
    flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    flow = cv2.calcOpticalFlowFarneback(first, second, None, 2**-0.5, 5, 10, 2, 7, 1.5, flags)
    return flow.transpose(2, 0, 1)


def scene(
    background: Grey, other: Grey, rng: np.random.Generator
) -> tuple[Grey, Grey, Flow, npt.NDArray[np.bool_]]:
    """A camera that moves by up to 4 px, an object by up to 9: two frames, truth, the object."""
    angle, zoom = rng.uniform(-0.01, 0.01, 2)
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), np.degrees(angle), 1 + zoom)
    matrix[:, 2] += rng.uniform(-4, 4, 2)
    border = cv2.BORDER_REFLECT
    moved = cv2.warpAffine(
        background, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=border
    )
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth = np.stack([row[0] * x + row[1] * y + row[2] for row in matrix]) - np.stack([x, y])
    top, left = (
        rng.integers(BORDER, HEIGHT - SIDE - BORDER),
        rng.integers(BORDER, WIDTH - SIDE - BORDER),
    )
    step = rng.integers(-9, 10, 2)
    here = np.s_[top : top + SIDE, left : left + SIDE]
    there = np.s_[top + step[1] : top + step[1] + SIDE, left + step[0] : left + step[0] + SIDE]
    first = background.copy()
    first[here] = moved[there] = other[here]
    truth[:, *here] = step[:, None, None]
    on_object = np.zeros((HEIGHT, WIDTH), bool)
    on_object[here] = True
    return first, moved, truth.astype(np.float32), on_object


def part_table(clip: Grey) -> Table:
    """How long the parts of a frame take; each is also done on coarser scales, in half the time."""
    flow_between, camera, histograms = DenseFlow(), Camera(), CellHistograms(HEIGHT, WIDTH)
    first, second = clip[:2]
    flow = flow_between(first, second)
    homography = camera.homography(first, second, flow)
    parts: dict[str, Callable[[], object]] = {
        "dense flow (twice a frame)": lambda: flow_between(first, second),
        "homography": lambda: camera.homography(first, second, flow),
        "stabilised frame": lambda: stabilised(first, second, homography),
        "histograms (finest scale)": lambda: histograms(first, flow),
    }
    table = Table("part", "ms a frame")
    for name, part in parts.items():
        table.add_row(name, f"{1e3 * best_of(part, 10):.1f}")
    return table


def video_table(videos: list[Path], clips: list[Grey]) -> Table:
    """Whole extractions, decoding and writing aside."""
    table = Table("video", "frames", "trajectories", "ms a frame", "frames/s")
    for video, clip in zip(videos, clips, strict=True):
        blocks: list[npt.NDArray[np.float32]] = []
        seconds = best_of(lambda: blocks.extend(iter_trajectories(clip)), REPEATS) / len(clip)  # noqa: B023
        count = sum(map(len, blocks)) // REPEATS
        table.add_row(
            video.name, str(len(clip)), str(count), f"{1e3 * seconds:.1f}", f"{1 / seconds:.0f}"
        )
    return table


def best_of(work: Callable[[], object], repeats: int) -> float:
    """Process seconds, the least of several tries."""
    tries = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


if __name__ == "__main__":
    main()
