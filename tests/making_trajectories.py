"""Files of made-up trajectories, as `stresnet idt extract` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stresnet.data.splits.split import Split, VideoItem
from stresnet.idt.feature_file import feature_path, write_features
from stresnet.idt.layout import COLUMNS, NUM_COLUMNS


def made_up(count: int, kind: float = 0.0, seed: int = 0) -> np.ndarray:
    """(count, 436): with `kind`, a part of every histogram grows."""
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0, 1, (count, NUM_COLUMNS)).astype(np.float32)
    rows[:, 0] = 15 + np.arange(count) % 30
    for name in ("hog", "hof", "mbhx", "mbhy"):
        rows[:, COLUMNS[name]][:, ::7] += np.float32(kind)
    return rows


def write_made_up(
    folder: Path, name: str, rows: np.ndarray, *, frames: int = 45, block: int = 50
) -> Path:
    path = feature_path(folder, name)
    blocks = [rows[begin : begin + block] for begin in range(0, len(rows), block)]
    write_features(path, blocks, lambda: {"frames": frames, "name": name})
    return path


def made_up_data(folder: Path, videos: int = 5, classes: str = "abc") -> Split:
    """Features of videos of classes that differ; the last two of each class are for testing."""
    train: list[VideoItem] = []
    test: list[VideoItem] = []
    for label_index, label in enumerate(classes):
        for number in range(videos):
            name = f"{label}/{number}.avi"
            rows = made_up(60, kind=0.25 * label_index, seed=100 * label_index + number)
            write_made_up(folder, name, rows)
            item = VideoItem(Path(name), label, name, source=f"{label}{number}")
            (train if number < videos - 2 else test).append(item)
    return Split(tuple(classes), tuple(train), tuple(test))
