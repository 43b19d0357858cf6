"""Timelines of long videos with known boundaries: segment F1, with and without smoothing.

Real clips that the model has not seen are spliced, runs of one to four of a class, into a long
video, encoded as H.264, and given to `stresnet.prediction.timeline`. A predicted segment is right
if its class is and it overlaps a true one, not matched yet, with an intersection over union of at
least 0.5.

    python benchmarks/timeline.py folds.csv fight --fold 1 --seeds 0,1
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ablations import numbers

from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import VideoItem
from stresnet.data.video.decode import iter_frames
from stresnet.data.video.encode import video_writer
from stresnet.drawing import resized
from stresnet.model import load_model
from stresnet.prediction.recognise import predict, timeline
from stresnet.prediction.result import Timeline, TimelineSettings

HEIGHT, WIDTH = 256, 340
LONGEST_RUN = 4  # clips of a class in a row
VARIANTS = {
    "neither": {"smooth": 0.0, "min_duration": 0.0},
    "smoothing, 1 s": {"smooth": 1.0, "min_duration": 0.0},
    "smoothing, 2 s": {"smooth": 2.0, "min_duration": 0.0},
    "minimum duration, 2 s": {"smooth": 0.0, "min_duration": 2.0},
    "both, 1 s and 2 s (default)": {},
    "both, 1 s and 3 s": {"min_duration": 3.0},
    "both, 2 s and 3 s": {"smooth": 2.0, "min_duration": 3.0},
}


class Span(NamedTuple):
    """A class from start to end, seconds."""

    start: float
    end: float
    label: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="CSV with path, label, fold")
    parser.add_argument("model")
    parser.add_argument("--fold", type=int, default=1, help="the fold not trained on")
    parser.add_argument("--seeds", type=numbers, default=(0,), metavar="0,1,...")
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    net = load_model(given.model)
    items = open_dataset(given.data, fold=given.fold).test
    looked = {"protocol": given.protocol, "precision": "bf16", "threads": given.threads}
    labels = {item.path: predict(net, item.path, **looked).label for item in items}
    made: list[tuple[Timeline, list[Span]]] = []
    by_hand: list[tuple[list[Span], list[Span]]] = []
    for seed in given.seeds:
        order = alternated(items, np.random.default_rng(seed))
        with tempfile.TemporaryDirectory() as scratch:
            video = Path(scratch) / "spliced.mp4"
            clips = splice(order, video)
            found = timeline(net, video, **looked)
        truth = joined(clips)
        made.append((found, truth))
        guessed = [
            clip._replace(label=labels[item.path]) for clip, item in zip(clips, order, strict=True)
        ]
        by_hand.append((joined(guessed), truth))
    seconds, segments = sum(t.duration for t, _ in made), sum(len(truth) for _, truth in made)
    print(f"{len(made)} videos, {seconds:.0f} s, {segments} true segments")
    report(made, by_hand)


def report(
    made: Sequence[tuple[Timeline, list[Span]]],
    by_hand: Sequence[tuple[list[Span], list[Span]]],
) -> None:
    """Print one row a variant."""
    print("| | F1 | precision | recall | segments | time right | borders within 0.5 s | 1 s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, change in VARIANTS.items():
        settings = replace(TimelineSettings(), **change)
        row(name, [(spans(replace(found, settings=settings)), truth) for found, truth in made])
    row("each clip cut out by hand", by_hand)


def row(name: str, pairs: Sequence[tuple[list[Span], list[Span]]]) -> None:
    right = sum(matches(found, truth) for found, truth in pairs)
    predicted = sum(len(found) for found, _ in pairs)
    true = sum(len(truth) for _, truth in pairs)
    share = np.mean([agreement(found, truth) for found, truth in pairs])
    errors = np.concatenate([border_errors(found, truth) for found, truth in pairs])
    near, nearly = (errors <= 0.5).mean(), (errors <= 1).mean()
    f1 = 2 * right / (predicted + true)
    print(f"| {name} | {f1:.3f} | {right / predicted:.3f} | {right / true:.3f} | {predicted} | "
          f"{share:.3f} | {near:.3f} | {nearly:.3f} |")  # fmt: skip


def splice(items: Sequence[VideoItem], out: Path) -> list[Span]:
    """Write the clips one after the other, each at its own rate; where each of them is."""
    spans: list[Span] = []
    time = 0.0
    with video_writer(out) as writer:
        for item in items:
            frames = list(iter_frames(item.path))
            step = frames[-1].time / (len(frames) - 1)
            for frame in frames:
                writer.add(fitted(frame.image), time + frame.time)
            end = time + frames[-1].time + step
            spans.append(Span(time, end, item.label))
            time = end
    return spans


def alternated(items: Sequence[VideoItem], rng: np.random.Generator) -> list[VideoItem]:
    """Runs of one to four clips, the classes by turns, until one is used up."""
    shuffled = [items[i] for i in rng.permutation(len(items))]
    queues = {label: [item for item in shuffled if item.label == label]
              for label in sorted({item.label for item in items})}  # fmt: skip
    order: list[VideoItem] = []
    while all(queues.values()):
        for queue in queues.values():
            for _ in range(min(int(rng.integers(1, LONGEST_RUN, endpoint=True)), len(queue))):
                order.append(queue.pop())
    return order


def fitted(image: np.ndarray) -> np.ndarray:
    """(H,W,3) of any aspect -> 256x340: the middle of a wide frame, else the whole, stretched."""
    spare = image.shape[1] - WIDTH
    if image.shape[0] == HEIGHT and spare >= 0:
        return image[:, spare // 2 :][:, :WIDTH]
    return resized(image, HEIGHT, WIDTH)


def spans(found: Timeline) -> list[Span]:
    return [Span(segment.start, segment.end, segment.label) for segment in found.segments]


def joined(parts: Sequence[Span]) -> list[Span]:
    """Neighbours of one class become one."""
    runs = [list(run) for _, run in groupby(parts, key=lambda span: span.label)]
    return [Span(run[0].start, run[-1].end, run[0].label) for run in runs]


def matches(found: Sequence[Span], truth: Sequence[Span]) -> int:
    """How many true segments are found, each by another predicted one."""
    left = set(range(len(found)))
    count = 0
    for true in truth:
        overlaps = {i: overlap(found[i], true) for i in left if found[i].label == true.label}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= 0.5:
            left.remove(best)
            count += 1
    return count


def overlap(a: Span, b: Span) -> float:
    """Intersection over union in time."""
    shared = min(a.end, b.end) - max(a.start, b.start)
    return max(shared, 0.0) / (max(a.end, b.end) - min(a.start, b.start))


def agreement(found: Sequence[Span], truth: Sequence[Span]) -> float:
    """Share of the time that has its true class."""
    right = sum(max(min(f.end, t.end) - max(f.start, t.start), 0.0)
                for f in found for t in truth if f.label == t.label)  # fmt: skip
    return right / (truth[-1].end - truth[0].start)


def border_errors(found: Sequence[Span], truth: Sequence[Span]) -> np.ndarray:
    """Seconds from each true border to the nearest predicted one."""
    predicted = np.array([b.start for _, b in pairwise(found)] or [np.inf])
    return np.array([np.abs(predicted - b.start).min() for _, b in pairwise(truth)])


if __name__ == "__main__":
    main()
