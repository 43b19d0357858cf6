"""How fast our TV-L1 is, and how near to OpenCV's, on real clips.

    python benchmarks/flow.py [--clips FOLDER] [--videos 8] [--json FILE]

For each preset: milliseconds a pair of frames, on one and on several threads, ours and those of
OpenCV's DualTVL1 with the same parameters on the same frames in the same run, by turns, best of
several; and the mean end-point difference of the two flows. On one thread it is CPU time, so that
other work on the machine counts little; on several it is the clock on the wall, so it counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from flow_clips import SHIPPED_CLIPS, Flow, Frames, clips, opencv_solver
from rich.console import Console
from rich.table import Table

from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, tv_l1

PRESETS = {"OPENCV_CPU": OPENCV_CPU, "AUTHORS": AUTHORS, "FAST": FAST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=SHIPPED_CLIPS, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--frames", type=int, default=3, help="of each video")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--threads", type=int, default=2, help="several, for both")
    parser.add_argument("--repeats", type=int, default=2, help="the best of these counts")
    parser.add_argument("--preset", choices=PRESETS, action="append", help="default: all")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()

    height, width = options.size
    videos = clips(options.clips, options.videos, length=options.frames, height=height, width=width)
    rows = {
        name: measured(PRESETS[name], videos, options.threads, options.repeats)
        for name in options.preset or PRESETS
    }
    pairs = sum(len(video) - 1 for video in videos)
    show(rows, f"{pairs} pairs of {width}x{height}, milliseconds a pair", options.threads)
    if options.json:
        about = {"size": [height, width], "pairs": pairs, "threads": options.threads}
        options.json.write_text(json.dumps({**about, "presets": rows}, indent=1) + "\n")


def measured(
    p: TVL1Parameters, videos: list[Frames], threads: int, repeats: int
) -> dict[str, float]:
    """Times in milliseconds a pair, their ratios, and differences in pixels, by video."""
    opencv = opencv_solver(p)

    def ours(threads: int) -> list[Flow]:
        return [tv_l1(video, parameters=p, threads=threads) for video in videos]

    def theirs(threads: int) -> list[Flow]:
        cv2.setNumThreads(threads)
        return [
            np.stack([opencv(video[i : i + 2]) for i in range(len(video) - 1)]) for video in videos
        ]

    differences = [
        float(np.linalg.norm(a - b, axis=1).mean())
        for a, b in zip(ours(1), theirs(threads), strict=True)
    ]
    pairs = sum(len(video) - 1 for video in videos)
    times = dict.fromkeys(("ours_1", "opencv_1", "ours_n", "opencv_n"), float("inf"))
    for _ in range(repeats):
        for name, work, clock in (
            ("ours_1", lambda: ours(1), time.process_time),
            ("opencv_1", lambda: theirs(1), time.process_time),
            ("ours_n", lambda: ours(threads), time.perf_counter),
            ("opencv_n", lambda: theirs(threads), time.perf_counter),
        ):
            times[name] = min(times[name], 1000 * duration(work, clock) / pairs)
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


def show(rows: dict[str, dict[str, float]], title: str, threads: int) -> None:
    table = Table("preset", title=title)
    for column in (
        "ours, 1 thread",
        "OpenCV, 1",
        "ratio",
        f"ours, {threads} threads",
        f"OpenCV, {threads}",
        "ratio",
        "difference, px: mean",
        "worst video",
    ):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        times = [[f"{row[f'{who}_{n}']:.1f}" for who in ("ours", "opencv")] for n in "1n"]
        table.add_row(
            name,
            *times[0],
            f"{row['ratio_1']:.1f}",
            *times[1],
            f"{row['ratio_n']:.1f}",
            f"{row['difference_mean_px']:.3f}",
            f"{row['difference_worst_px']:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
