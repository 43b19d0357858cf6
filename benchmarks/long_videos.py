"""Long annotated recordings, made of clips: their borders are known exactly.

    python benchmarks/long_videos.py make folds.csv recordings --unlabelled noFight --tested 1
    stresnet train recordings --background other --out runs/long
    stresnet evaluate runs/long/st_resnet recordings --out runs/long/report

Clips of the labelled classes and of the unlabelled ones alternate in a random order. No source of a
clip is in two recordings of different parts: the clips of fold `--tested` make the recordings of
recordings/test, all others those of recordings/train. An ELAN file lies beside each; `clips.csv`
lists the same clips, each for itself, with a column split: training on cut clips is

    stresnet train recordings/clips.csv --out runs/cut

Memory of training on a recording of an hour, against one of a minute (a store of small pictures is
made, the video itself is not needed):

    python benchmarks/long_videos.py memory --minutes 60
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Process
from pathlib import Path

import numpy as np

from stresnet.data.annotations.elan import to_elan
from stresnet.data.prepare.preparation import preparation
from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.format import Origin
from stresnet.data.store.location import store_path
from stresnet.data.store.writer import store_writer
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.drawing import resized
from stresnet.training.recipes import QUICK
from stresnet.training.run import train
from stresnet.training.runtime import Execution

HEIGHT, WIDTH = 256, 340
BACKGROUND = "other"
FPS = 25  # of the recording that memory is measured with
SMALL = replace(QUICK, depth="tiny", input_size=64)  # what memory is measured with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(required=True)
    make = verbs.add_parser("make")
    make.add_argument("data", type=Path, help="CSV with path, label, fold")
    make.add_argument("out", type=Path)
    make.add_argument("--unlabelled", nargs="+", required=True, help="classes nobody marks")
    make.add_argument("--classes", nargs="+", help="labelled classes; all others by default")
    make.add_argument("--tested", type=int, default=1, help="the fold of the test recordings")
    make.add_argument("--clips", type=int, default=24, help="of a recording")
    make.add_argument("--most", type=int, default=1000, help="clips of a class and part")
    make.add_argument("--seed", type=int, default=0)
    make.set_defaults(do=make_recordings)
    memory = verbs.add_parser("memory")
    memory.add_argument("--minutes", type=float, default=60)
    memory.add_argument("--steps", type=int, default=50)
    memory.set_defaults(do=measure_memory)
    given = parser.parse_args()
    given.do(given)


def measure_memory(given: argparse.Namespace) -> None:
    """Train on one recording with a segment every ten seconds; print the peak resident set."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frames = round(given.minutes * 60 * FPS)
        writing = Process(target=write_long_store, args=(store_path(folder, "long.mp4"), frames))
        writing.start()
        writing.join()
        rows = [
            ("long.mp4", "ab"[n % 2], 10 * n, 10 * n + 5, "train")
            for n in range(frames // 10 // FPS)
        ]
        with (folder / "list.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("path", "label", "start", "end", "split"), *rows])
        train(
            folder / "list.csv",
            folder / "run",
            recipe=SMALL.with_phases("motion", schedule=((1e-3, given.steps),)),
            phases=("motion",),
            background="other",
            store=folder,
            execution=Execution("cpu", "fp32", 0),
        )
        print(f"{given.minutes:g} min, {len(rows)} segments, {given.steps} steps and the fit: "
              f"{peak():.0f} MB at most")  # fmt: skip


def write_long_store(path: Path, frames: int) -> None:
    """A prepared video of random small pictures, each of them shown again every 50 frames."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (50, 64, 80, 3), np.uint8)
    flow = rng.integers(0, 255, (50, 2, 64, 80), np.uint8)
    with store_writer(
        path,
        origin=Origin("long.mp4", "0" * 64),
        preparation=preparation(**SMALL.preparing),
        libraries={},
    ) as writer:
        for number in range(frames):
            writer.add_frames(pictures[[number % 50]], [number / FPS])
            if number:
                writer.add_flow(flow[[number % 50]])
    print(f"{frames} frames written: {peak():.0f} MB at most", flush=True)


def peak() -> float:
    """MB of this process at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def make_recordings(given: argparse.Namespace) -> None:
    """Write recordings, ELAN files and clips.csv."""
    split = open_dataset(given.data, fold=given.tested)
    rng = np.random.default_rng(given.seed)
    labelled = given.classes or [
        label for label in split.class_names if label not in given.unlabelled
    ]
    rows = []
    for part, items in (("train", split.train), ("test", split.test)):
        shuffled = [items[i] for i in rng.permutation(len(items))]
        queues = {
            label: [item for item in shuffled if item.label == label][: given.most]
            for label in (*labelled, *given.unlabelled)
        }
        order = alternated(queues, given.unlabelled, rng)
        seconds = 0.0
        count = max(round(len(order) / given.clips), 1)
        for number in range(count):
            mine = order[number * len(order) // count : (number + 1) * len(order) // count]
            video = given.out / part / f"recording{number}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            segments, duration = splice(mine, video)
            marked = [each for each in segments if each[2] in labelled]
            video.with_suffix(".eaf").write_text(to_elan(marked, video, labelled), encoding="utf-8")
            seconds += duration
        rows += [
            (item.path.resolve(), item.label if item.label in labelled else BACKGROUND, part)
            for item in order
        ]
        print(f"{part}: {count} recordings, {seconds:.0f} s, {len(order)} clips")
    with (given.out / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])


def alternated(
    queues: dict[str, list[VideoItem]], unlabelled: Sequence[str], rng: np.random.Generator
) -> list[VideoItem]:
    """Draw labelled and unlabelled clips by turns, until one kind is used up."""
    kinds = [[item for label, queue in queues.items() if (label in unlabelled) is kind
              for item in queue] for kind in (False, True)]  # fmt: skip
    drawn = [[kind[i] for i in rng.permutation(len(kind))] for kind in kinds]
    pairs = zip(*drawn, strict=False)
    return [item for pair in pairs for item in (pair if rng.random() < 0.5 else pair[::-1])]


def splice(
    items: Sequence[VideoItem], out: Path
) -> tuple[list[tuple[float, float, str, float | None]], float]:
    """Write the clips one after the other, each at its own rate; return where each of them is.

    Neighbours of one label become one segment.
    """
    spans: list[tuple[float, float, str, float | None]] = []
    time = 0.0
    with video_writer(out) as writer:
        for item in items:
            clip = list(iter_frames(item.path))
            last = clip[-1].time
            for frame in clip:
                writer.add(fitted(frame.image), time + frame.time)
            end = time + last + last / (len(clip) - 1)
            if spans and spans[-1][2] == item.label:
                spans[-1] = (spans[-1][0], end, item.label, None)
            else:
                spans.append((time, end, item.label, None))
            time = end
    return spans, time


def fitted(image: np.ndarray) -> np.ndarray:
    """(H,W,3) of any aspect -> 256x340: the middle of a wide frame, else the whole, stretched."""
    spare = image.shape[1] - WIDTH
    if image.shape[0] == HEIGHT and spare >= 0:
        return image[:, spare // 2 :][:, :WIDTH]
    return resized(image, HEIGHT, WIDTH)


if __name__ == "__main__":
    main()
