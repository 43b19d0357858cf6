"""How fast our TV-L1 is, and how near to OpenCV's, on real clips.

    python benchmarks/flow.py [--clips FOLDER] [--videos 8] [--json FILE]

For each preset: milliseconds a pair of frames, on one and on several threads, ours and those of
OpenCV's DualTVL1 with the same parameters on the same frames in the same run, by turns, of each
video the best of several; and the mean end-point difference of the two flows. On one thread it is
CPU time, so that other work on the machine counts little; on several it is the clock on the wall,
so it counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from flow_clips import SHIPPED_CLIPS, Flow, Frames, clips, opencv_solver
from flow_table import show

from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, tv_l1

PRESETS = {"OPENCV_CPU": OPENCV_CPU, "AUTHORS": AUTHORS, "FAST": FAST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=SHIPPED_CLIPS, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=2, help="of frames of each video")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=2, help="several, for both")
    parser.add_argument("--repeats", type=int, default=2, help="the best of these counts")
    parser.add_argument("--preset", choices=PRESETS, action="append", help="default: all")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    if options.pairs % options.threads:
        # Each thread takes pairs, so that at the end some would have nothing to do.
        parser.error(f"--pairs {options.pairs} do not share out among {options.threads} threads")

    height, width = options.size
    length = options.pairs + 1
    videos = clips(options.clips, options.videos, length=length, height=height, width=width)
    measures = {
        name: measured(PRESETS[name], videos, options.threads, options.repeats)
        for name in options.preset or PRESETS
    }
    pairs = len(videos) * options.pairs
    show(
        f"{pairs} pairs of {width}x{height}, against OpenCV {cv2.__version__}",
        [row for name, measure in measures.items() for row in rows(name, measure, options.threads)],
    )
    if options.json:
        about = {"size": [height, width], "pairs": pairs, "threads": options.threads}
        options.json.write_text(json.dumps({**about, "presets": measures}, indent=1) + "\n")


def measured(
    p: TVL1Parameters, videos: list[Frames], threads: int, repeats: int
) -> dict[str, float]:
    """Times in milliseconds a pair, their ratios, and differences in pixels, by video."""
    opencv = opencv_solver(p)

    def ours(video: Frames, threads: int) -> Flow:
        return tv_l1(video, parameters=p, threads=threads)

    def theirs(video: Frames, threads: int) -> Flow:
        cv2.setNumThreads(threads)
        return np.stack([opencv(video[i : i + 2]) for i in range(len(video) - 1)])

    differences = [
        float(np.linalg.norm(ours(video, 1) - theirs(video, threads), axis=1).mean())
        for video in videos
    ]
    ways = {
        "ours_1": (ours, 1, time.process_time),
        "opencv_1": (theirs, 1, time.process_time),
        "ours_n": (ours, threads, time.perf_counter),
        "opencv_n": (theirs, threads, time.perf_counter),
    }
    best = {name: [float("inf")] * len(videos) for name in ways}
    for _ in range(repeats):
        for i, video in enumerate(videos):
            for name, (work, count, clock) in ways.items():
                seconds = duration(partial(work, video, count), clock)
                best[name][i] = min(best[name][i], seconds)
    pairs = sum(len(video) - 1 for video in videos)
    times = {name: 1000 * sum(seconds) / pairs for name, seconds in best.items()}
    return {
        **times,
        "ratio_1": times["opencv_1"] / times["ours_1"],
        "ratio_n": times["opencv_n"] / times["ours_n"],
        "difference_mean_px": float(np.mean(differences)),
        "difference_worst_px": max(differences),
    }


def duration(work: Callable[[], Any], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def rows(name: str, measure: dict[str, float], threads: int) -> Iterator[dict[str, str]]:
    for key, count in (("1", 1), ("n", threads)):
        yield {
            "preset": f"`{name}`",
            "threads": str(count),
            "ms a pair": f"{measure[f'ours_{key}']:.1f}",
            "pairs/s": f"{1000 / measure[f'ours_{key}']:.0f}",
            "OpenCV, ms": f"{measure[f'opencv_{key}']:.0f}",
            "times as fast": f"{measure[f'ratio_{key}']:.1f}",
            "difference, px": f"{measure['difference_mean_px']:.3f}",
            "of the worst video": f"{measure['difference_worst_px']:.3f}",
        }


if __name__ == "__main__":
    main()
