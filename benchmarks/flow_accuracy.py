"""How accurate our TV-L1 is, and OpenCV's, where the flow is known.

    python benchmarks/flow_accuracy.py [--clips FOLDER] [--videos 4] [--json FILE]
    python benchmarks/flow_accuracy.py --truth FOLDER

The first makes scenes of known motion from real frames (`flow_scenes`). The second takes every
folder below FOLDER with one `.flo` file and two pictures, the first frame first by name, as in
Middlebury's sets once pictures and flow lie together; or with folders `clean` and `final` of two
pictures each and masks `occluded.png` and `invalid.png`, as cut from MPI-Sintel.

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
PASSES = ("clean", "final")  # how Sintel's pictures were rendered
MASKS = ("occluded", "invalid")  # Sintel's: not 0 where the flow is not judged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=SHIPPED_CLIPS, help="a folder of videos")
    parser.add_argument("--videos", type=int, default=4, help="a frame of each makes all scenes")
    parser.add_argument("--truth", type=Path, help="a folder of .flo files and pictures")
    parser.add_argument("--json", type=Path, help="write the errors here")
    options = parser.parse_args()

    truth = options.truth
    known = true_scenes(truth) if truth else made_scenes(options.clips, options.videos)
    solvers: dict[str, Callable[[Frames], Flow]] = {
        "AUTHORS": ours(AUTHORS),
        "OPENCV_CPU": ours(OPENCV_CPU),
        "FAST": ours(FAST),
        "OpenCV": opencv_solver(OPENCV_CPU),
        "DIS": dis,
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


def dis(frames: Frames) -> Flow:
    """OpenCV's dense inverse search, which is not TV-L1: for comparison."""
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.moveaxis(solver.calc(frames[0], frames[1], None), 2, 0)


def true_scenes(folder: Path) -> Iterator[Scene]:
    files = sorted(folder.rglob("*.flo"))
    if not files:
        raise DatasetError(f"{folder}: no .flo file below it", remedy="give another folder")
    for file in files:
        hidden = [cv2.imread(str(file.with_name(f"{name}.png")), 0) for name in MASKS]
        flow = read_flo(file)
        visible = np.isfinite(flow).all(axis=0)
        for mask in hidden:
            if mask is not None:  # Middlebury has none
                visible &= mask == 0
        passes = [file.parent / name for name in PASSES if (file.parent / name).is_dir()]
        for place in passes or [file.parent]:
            pictures = sorted(
                path
                for path in place.iterdir()
                if path.suffix in PICTURES and path.stem not in MASKS
            )
            if len(pictures) != 2:
                raise DatasetError(
                    f"{place}: {len(pictures)} pictures, expected 2",
                    remedy="leave the two frames that the flow lies between",
                )
            frames = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in pictures])
            yield Scene(str(place.relative_to(folder)), frames, flow, visible)


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
