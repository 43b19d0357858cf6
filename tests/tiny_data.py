"""Prepared videos of a few pixels: what is red falls, what is blue rises.

(A horizontal flip, which training applies at random, leaves both as they are.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from making_stores import PREPARATION, write_store
from making_videos import Video
from stresnet.data.store.format import Origin
from stresnet.flow import to_bytes

CLASSES = ("falls", "rises")


def toy_video(label: str, seed: int, frames: int = 16, side: int = 48) -> tuple[Video, np.ndarray]:
    """Frames (N,H,W,3) uint8 in a video, and flow bytes (N-1,2,H,W)."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 120, (frames, side, side, 3))
    noise[..., 0 if label == "falls" else 2] += 100
    flow = rng.normal(0, 1, (frames - 1, 2, side, side)).astype(np.float32)
    flow[:, 1] += 4 if label == "falls" else -4
    video = Video(noise.astype(np.uint8), np.arange(frames) / 25, warnings=())
    return video, to_bytes(flow)


def toy_store(folder: Path, videos: int = 4) -> list[tuple[Path, int]]:
    """Prepared files and label indices, `videos` of each class."""
    items = []
    for label_index, label in enumerate(CLASSES):
        for number in range(videos):
            path = folder / label / f"{number}.zip"
            path.parent.mkdir(parents=True, exist_ok=True)
            video, flow = toy_video(label, seed=100 * label_index + number)
            origin = Origin(f"{number}.avi", sha256="0" * 64)
            write_store(path, video, flow, origin=origin, preparation=PREPARATION)
            items.append((path, label_index))
    return items
