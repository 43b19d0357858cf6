"""How fast training samples are read: our store beside loose JPEGs, and what training consumes.

    python benchmarks/loader.py                     # T = 5 chunks at 224x224
    python benchmarks/loader.py --consumed 0.79     # videos/s of benchmarks/training.py

Both read the clips that ship, with the same draws: frames, flow fields, crop and mirror. One core's
processor time, in turn, the best round counts. Consumed is what the training process, on all cores,
takes of a loader.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from plain_training import LooseJpegs
from training import clips, write_data

from stresnet.data.formats.layouts import Layout, layout_names
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, SampleKey
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.training.recipes import PAPER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="side of a crop, px")
    parser.add_argument("--chunks", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="as `write_data` leaves it; made if left out")
    parser.add_argument("--consumed", type=float, help="videos/s, by a training process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data:
        compare(options, options.data)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            write_data(Path(scratch))
            compare(options, Path(scratch))


def compare(options: argparse.Namespace, data: Path) -> None:
    """Videos a second of one core, each way."""
    ours, plain = datasets(data, options)
    loaders: dict[str, ChunkDataset | LooseJpegs] = {"store": ours, "loose JPEGs": plain}
    videos = len(ours.items)
    best = dict.fromkeys(loaders, float("inf"))
    for step in range(options.rounds + 1):  # the first one fills the disk's cache
        for name, dataset in loaders.items():
            began = time.process_time()
            for slot in range(videos):
                _ = dataset[SampleKey(step, slot, slot)]
            best[name] = min(best[name], (time.process_time() - began) / videos)
    for name, seconds in best.items():
        told = f"{name}: {1e3 * seconds:.1f} ms a video, {1 / seconds:.1f} videos/s a core"
        if options.consumed:
            told += f", {1 / seconds / options.consumed:.1f} times what training consumes"
        print(told)
    print(f"the store is {best['loose JPEGs'] / best['store']:.1f} times as fast")


def datasets(data: Path, options: argparse.Namespace) -> tuple[ChunkDataset, LooseJpegs]:
    """Ours and the plain one, of the same videos, with the same seed."""
    phase, found = PAPER.phase("st_resnet"), list(clips(data / "store"))
    items = [(store_path(data / "store", name), label) for name, label in found]
    settings = ChunkSettings(options.chunks, phase.tau, phase.crop, options.size)
    named = layout_names([name for name, _ in found], Layout.AUTHORS)
    loose = [(named[name], label) for name, label in found]
    return (
        ChunkDataset(items, settings, seed=0, open_video=StoredVideo),
        LooseJpegs(data / "loose", loose, options.chunks, phase.tau, options.size),
    )


if __name__ == "__main__":
    main()
