"""How accurate our TV-L1 is, and OpenCV's, where the flow is known.

    python benchmarks/flow_accuracy.py [--clips FOLDER] [--videos 4] [--json FILE]
    python benchmarks/flow_accuracy.py --ground-truth FOLDER

The first makes scenes of known motion from real frames (`flow_scenes`). The second takes every
folder below FOLDER with one `.flo` file and two pictures, the first frame first by name, as in
Middlebury's sets once pictures and flow lie together.

Shown is the mean end-point error in pixels, of all pixels whose flow is known and stays in view.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from flow_clips import SHIPPED_CLIPS, Flow, Frames, clips, opencv_solver
from flow_scenes import SUPERSAMPLING, Scene, scenes
from flow_table import show

from stresnet.errors import DatasetError
from stresnet.flow import AUTHORS, FAST, OPENCV_CPU, TVL1Parameters, read_flo, tv_l1

PICTURES = (".png", ".ppm", ".pgm", ".jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=SHIPPED_CLIPS, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=4, help="a frame of each makes all scenes")
    parser.add_argument("--ground-truth", type=Path, help="a folder of .flo files and pictures")
    parser.add_argument("--json", type=Path, help="write the errors here")
    options = parser.parse_args()

    truth = options.ground_truth
    known = true_scenes(truth) if truth else made_scenes(options.clips, options.videos)
    solvers: dict[str, Callable[[Frames], Flow]] = {
        "AUTHORS": ours(AUTHORS),
        "OPENCV_CPU": ours(OPENCV_CPU),
        "FAST": ours(FAST),
        "OpenCV": opencv_solver(OPENCV_CPU),
    }
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for scene in known:
        for name, solve in solvers.items():
            distance = np.linalg.norm(solve(scene.frames) - scene.flow, axis=0)
            errors[scene.name][name].append(float(distance[scene.visible].mean()))
    means = {
        scene: {name: float(np.mean(some)) for name, some in by_solver.items()}
        for scene, by_solver in errors.items()
    }
    show_errors(means, list(solvers))
    if options.json:
        options.json.write_text(json.dumps(means, indent=1, ensure_ascii=False) + "\n")


def ours(p: TVL1Parameters) -> Callable[[Frames], Flow]:
    return lambda pair: tv_l1(pair, parameters=p)[0]


def made_scenes(folder: Path, videos: int) -> Iterator[Scene]:
    height, width = 256 * SUPERSAMPLING, 340 * SUPERSAMPLING
    for seed, frames in enumerate(clips(folder, videos, length=1, height=height, width=width)):
        yield from scenes(frames[0], seed)


def true_scenes(folder: Path) -> Iterator[Scene]:
    files = sorted(folder.rglob("*.flo"))
    if not files:
        raise DatasetError(f"{folder}: no .flo file below it", remedy="give another folder")
    for file in files:
        pictures = sorted(path for path in file.parent.iterdir() if path.suffix in PICTURES)
        if len(pictures) != 2:
            raise DatasetError(
                f"{file.parent}: {len(pictures)} pictures, not 2", remedy="leave frames 10 and 11"
            )
        frames = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in pictures])
        flow = read_flo(file)
        yield Scene(file.parent.name, frames, flow, np.isfinite(flow).all(axis=0))


def show_errors(means: dict[str, dict[str, float]], solvers: list[str]) -> None:
    overall = {name: float(np.mean([some[name] for some in means.values()])) for name in solvers}
    show(
        "mean end-point error, pixels",
        [
            {"scene": scene, **{name: f"{errors[name]:.3f}" for name in solvers}}
            for scene, errors in {**means, "mean": overall}.items()
        ],
    )


if __name__ == "__main__":
    main()
