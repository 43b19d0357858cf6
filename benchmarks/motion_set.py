"""Clips of real pictures whose classes differ only in motion, or only in the order of motions.

    python benchmarks/motion_set.py VIDEOS OUT [--train 60] [--test 30] [--seed 0]
    stresnet train OUT/motion/folds.csv --fold 1
    stresnet train OUT/order/folds.csv --fold 1

VIDEOS is a folder of videos, or a CSV as `stresnet train` takes it, whose column `source` says
which videos show the same. A picture of a video is seen by a moving camera:

    motion  six classes: tilt up, tilt down, zoom in, zoom out, pan, rotation (the last two either
            way). Any ten frames tell them apart, a single one does not.
    order   two classes: tilt up, zoom in, tilt down, zoom out, over and over, and the same frames
            backwards, which is tilt up, zoom out, tilt down, zoom in. The camera rests between two
            motions for as many frames as a flow stack has fields, so no stack sees two of them, and
            every stack of one class occurs in the other.

Each picture is shown once in each class, so it says nothing about the class. No picture, nor source
of pictures, is both for training (fold 2) and for testing (fold 1). All classes are closed under
mirroring left and right, as training mirrors half of what it shows: with pan left against pan right
it would teach the opposite of half of the labels.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from stresnet.data.splits.open import csv_list
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.data.video.folders import find_videos
from stresnet.errors import DatasetError, StresnetError
from stresnet.files import atomic_write
from stresnet.flow.quantize import FLOW_FIELDS

SIDE = 128  # of a clip's frames, px
PICTURE_SIDE = 216  # the short side of a picture, in pixels of a clip
SUPERSAMPLING = 2  # along each axis, against aliasing
SPEED = (0.7, 1.2)  # mean displacement a frame, px, drawn once a picture
REACH = 0.38 * SIDE  # mean distance of a frame's pixels from its middle
FPS = 25
FRAMES = {"motion": 40, "order": 97}
MOVING = 6  # frames of a motion in the set `order`
LATEST = 40  # frame of a video that a picture is taken from

# x and y in px, logarithm of the zoom, angle in radians; of the camera, at 1 px a frame.
VELOCITIES = {
    "pan": (1.0, 0.0, 0.0, 0.0),
    "tilt-up": (0.0, -1.0, 0.0, 0.0),
    "tilt-down": (0.0, 1.0, 0.0, 0.0),
    "zoom-in": (0.0, 0.0, 1 / REACH, 0.0),
    "zoom-out": (0.0, 0.0, -1 / REACH, 0.0),
    "rotation": (0.0, 0.0, 0.0, 1 / REACH),
}
EITHER_WAY = ("pan", "rotation")
PROGRAMME = ("tilt-up", "zoom-in", "tilt-down", "zoom-out")

Floats = NDArray[np.float64]
Frames = NDArray[np.uint8]
Clips = Callable[[np.random.Generator], Iterator[tuple[str, Floats]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="a folder, or a CSV with a column source")
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=60, help="clips of each set")
    parser.add_argument("--test", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.train, options.test) < len(VELOCITIES):
        parser.error(f"--train and --test: expected {len(VELOCITIES)} or more, one clip a class")
    made: dict[str, Clips] = {"motion": motion_clips, "order": order_clips}
    for name, clips in made.items():
        classes = len(dict(clips(np.random.default_rng(0))))
        wanted = {1: options.test // classes, 2: options.train // classes}
        write_set(options.out / name, options.videos, clips, wanted, options.seed)


def motion_clips(rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Each class and its path (N,4): where the camera is in each frame, as in `VELOCITIES`."""
    view, speed, frames = some_view(rng), rng.uniform(*SPEED), FRAMES["motion"]
    for name, velocity in VELOCITIES.items():
        way = rng.choice((-1, 1)) if name in EITHER_WAY else 1
        times = np.arange(frames) - (frames - 1) / 2
        yield name, view + way * speed * np.outer(times, velocity)


def order_clips(rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Both classes and their paths (N,4)."""
    view, speed, frames = some_view(rng), rng.uniform(*SPEED), FRAMES["order"]
    rest = [(0.0, 0.0, 0.0, 0.0)] * FLOW_FIELDS
    once_round = [step for name in PROGRAMME for step in [VELOCITIES[name]] * MOVING + rest]
    start = int(rng.integers(len(once_round)))
    steps = np.array(list(islice(cycle(once_round), start, start + frames - 1)))
    path = view + speed * np.concatenate([np.zeros((1, 4)), steps.cumsum(0)])
    yield "forwards", path
    yield "backwards", path[::-1]


def some_view(rng: np.random.Generator) -> Floats:
    """(4,): near the middle of a picture, enlarged a little, a little askew."""
    return np.array([0.0, 0.0, 0.15, 0.0]) + rng.uniform(-1, 1, 4) * (3.0, 3.0, 0.1, 0.1)


def write_set(folder: Path, videos: Path, clips: Clips, wanted: dict[int, int], seed: int) -> None:
    """Write the clips of as many pictures as are wanted of each fold, and folds.csv.

    Raises:
        DatasetError: there are not two sources, or one has not enough videos.
    """
    rows: list[tuple[str, str, str, int]] = []
    for number, (source, fold, picture) in enumerate(pictures(videos, wanted, seed)):
        for label, path in clips(np.random.default_rng([seed, number])):
            file = folder / label / f"{number:04d}.mp4"
            with video_writer(file, fps=FPS) as writer:
                for frame, image in enumerate(seen_from(picture, path)):
                    writer.add(image, frame / FPS)
            rows.append((file.relative_to(folder).as_posix(), label, source, fold))
    with atomic_write(folder / "folds.csv") as partial, partial.open("w", newline="") as listed:
        writer_of_rows = csv.writer(listed)
        writer_of_rows.writerow(("path", "label", "source", "fold"))
        writer_of_rows.writerows(rows)
    print(f"{folder}: {len(rows)} clips")


def pictures(
    videos: Path, wanted: Mapping[int, int], seed: int
) -> Iterator[tuple[str, int, Frames]]:
    """Source, fold and picture (H,W,3) uint8; each fold draws on sources of its own, by turns.

    Raises:
        DatasetError: there are fewer sources than folds.
    """
    rng = np.random.default_rng(seed)
    by_source = sources(videos)
    names = [str(name) for name in rng.permutation(sorted(by_source))]
    if len(names) < len(wanted):
        raise DatasetError(
            f"{videos}: {len(names)} sources, expected {len(wanted)} or more",
            remedy="give videos of more than one source",
        )
    cuts = np.cumsum(list(wanted.values()))[:-1] * len(names) // sum(wanted.values())
    for (fold, count), own in zip(
        wanted.items(), np.split(names, np.maximum(cuts, 1)), strict=True
    ):
        for source in islice(cycle(own.tolist()), count):
            choice = by_source[source]
            video = choice[int(rng.integers(len(choice)))]
            yield source, fold, some_picture(video, int(rng.integers(LATEST)))


def sources(videos: Path) -> dict[str, list[Path]]:
    """Videos by source; where sources are not known, each video is one."""
    if videos.suffix != ".csv":
        return {name: [path] for path, name in find_videos(videos)}
    split = csv_list(videos)
    found = defaultdict(list)
    for item in (*split.train, *split.test):
        found[item.source or item.name].append(item.path)
    return dict(found)


def some_picture(video: Path, frame: int) -> Frames:
    """The picture (H,W,3) uint8 of that number, or the last one before it."""
    read = iter_frames(video, short_side=SUPERSAMPLING * PICTURE_SIDE)
    *_, last = islice(read, frame + 1)
    return last.image


def seen_from(picture: Frames, path: Floats) -> Frames:
    """What a camera on `path` (N,4) sees of a picture (H,W,3): (N,SIDE,SIDE,3) uint8."""
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).float()  # (3,H,W)
    height, width = pixels.shape[1:]
    line = torch.arange(SUPERSAMPLING * SIDE) + 0.5 - SUPERSAMPLING * SIDE / 2
    down, right = torch.meshgrid(line, line, indexing="ij")  # from the middle of the view
    images = []
    for x, y, zoom, angle in path.tolist():
        cos, sin = np.cos(angle) / np.exp(zoom), np.sin(angle) / np.exp(zoom)
        place_x = cos * right - sin * down + SUPERSAMPLING * x
        place_y = sin * right + cos * down + SUPERSAMPLING * y
        grid = torch.stack([place_x / (width / 2), place_y / (height / 2)], dim=2)  # in [-1, 1]
        view = F.grid_sample(pixels[None], grid[None], "bicubic", "reflection", align_corners=False)
        images.append(F.avg_pool2d(view, SUPERSAMPLING)[0])
    seen = torch.stack(images).round_().clamp_(0, 255).to(torch.uint8)
    return seen.permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    try:
        main()
    except StresnetError as error:
        raise SystemExit(f"error: {error}") from None
