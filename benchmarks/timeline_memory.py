"""Memory of a timeline against the video's length: resident set as the video goes by.

    python benchmarks/timeline_memory.py fight --minutes 60 --fps 25

A moving texture of the given length is encoded first. `--stride` changes how many windows the
network sees, not how many frames are decoded, nor how many are in memory at a time.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from stresnet.data.video.encode import video_writer
from stresnet.model import load_model
from stresnet.prediction.recognise import timeline
from stresnet.prediction.result import TimelineSettings
from stresnet.progress import Progress

HEIGHT, WIDTH = 256, 340


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--stride", type=float, default=10.0)
    given = parser.parse_args()
    net = load_model(given.model)
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "long.mp4"
        write(video, round(given.minutes * 60 * given.fps), given.fps)
        print(f"encoded: {resident():.0f} MB now, {peak():.0f} MB at most", flush=True)
        shown = 0
        began = time.monotonic()

        def on_progress(progress: Progress) -> None:
            nonlocal shown
            if progress.done >= shown:
                print(f"{progress.done / 60:5.1f} min: {resident():.0f} MB", flush=True)
                shown += max(round((progress.total or 0) / 12), 1)

        settings = TimelineSettings(stride=given.stride)
        found = timeline(net, video, settings, on_progress=on_progress)
    print(
        f"{found.duration / 60:.1f} min at {given.fps} frames/s, {len(found.times)} windows: peak "
        f"{peak():.0f} MB, {time.monotonic() - began:.0f} s, {torch.get_num_threads()} threads"
    )


def write(path: Path, frames: int, fps: int) -> None:
    """A texture that moves two pixels a frame, and begins anew every 60 frames."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (HEIGHT // 8 + 1, (WIDTH + 120) // 8 + 1, 3), np.uint8)
    large = coarse.repeat(8, 0).repeat(8, 1)
    with video_writer(path, fps=fps) as writer:
        for number in range(frames):
            x = 2 * (number % 60)
            writer.add(large[:HEIGHT, x : x + WIDTH], number / fps)


def resident() -> float:
    """MB of this process now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """MB of this process at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
