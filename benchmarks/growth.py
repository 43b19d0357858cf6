"""Costs that must not grow with the work: starting again on many videos, reading from long ones.

    python benchmarks/growth.py [--before OLD/src]
    python benchmarks/growth.py --stores 1000 100000

1. The start of `train --resume` on 5,000 prepared videos, when nothing has changed.
2. Reading 5 chunks (5 frames, 50 flow fields) from prepared videos of 100 to 100,000 frames.

With --stores, instead: how long `train` and `evaluate` take to their first video where that many
are prepared (small ones) and the store's index knows them, and their memory.

Each number is the median of several fresh processes. With --before, those of another copy of the
source take turns with ours, on the same files: on a machine that others use, trust the ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

FRAMES = 10  # of each of the many videos
MEASURE_START = """
import inspect, json, sys, time
from dataclasses import replace
from pathlib import Path
began = time.perf_counter()
from stresnet.training.recipes import QUICK
from stresnet.training.run import train
root, run = map(Path, sys.argv[1:])
phase = replace(QUICK.phases[0], batch=2, norm_group=2, schedule=((1e-2, 1),))
# Prepared as for the paper, which older code did for every recipe.
how = {"short_side": 256, "flow": "authors"} if hasattr(QUICK, "short_side") else {}
recipe = replace(QUICK, input_size=32, phases=(phase, *QUICK.phases[1:]), **how)
options = {"workers": 0, "device": "cpu"}
if "execution" in inspect.signature(train).parameters:
    from stresnet.training.runtime import Execution
    options = {"execution": Execution("cpu", workers=0)}
if __name__ == "__main__":
    train(root / "videos" / "list.csv", run, recipe=recipe, store=root / "store",
          phases=["motion"], **options)
    print("RESULT", time.perf_counter() - began)
"""
MEASURE_FIRST = """
import resource, sys, time
from dataclasses import replace
from pathlib import Path
import stresnet.evaluation.scoring as scoring
import stresnet.training.run as run
from stresnet.evaluation.evaluate import evaluate
from stresnet.training.recipes import QUICK

what, root, began = sys.argv[1], Path(sys.argv[2]), time.perf_counter()

def first(*arguments, **options):
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"RESULT {seconds:.2f} {cpu:.2f} {memory:.2f}")
    raise SystemExit

run.train_phase = scoring.score_video = first
if __name__ == "__main__":
    recipe = replace(QUICK, input_size=32)
    busy = time.process_time()
    if what == "train":
        run.train(root / "list.csv", root / "run", recipe=recipe, store=root / "store")
    else:
        evaluate(root / "model", root / "list.csv", store=root / "store")
"""
MEASURE_READ = """
import sys, time
from pathlib import Path
import numpy as np
try:
    from stresnet.data.store.reader import StoredVideo
except ImportError:
    from stresnet.data.store import StoredVideo
times = []
while len(times) < 12 and sum(times) < 10:
    began = time.perf_counter()
    video = StoredVideo(Path(sys.argv[1]))
    centres = np.linspace(5, video.num_frames - 7, 5).astype(int)
    video.frames(centres)
    video.flow((centres[:, None] + np.arange(-5, 5)).reshape(-1))
    times.append(time.perf_counter() - began)
print("RESULT", sorted(times)[len(times) // 2])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="src folder of the code to compare with")
    parser.add_argument("--videos", type=int, default=5000)
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--stores", type=int, nargs="+", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are made (gigabytes)")
    options = parser.parse_args()
    if options.stores:
        start(options.stores, options.folder, options.repeats)
        return
    ours = Path(__file__).resolve().parents[1] / "src"
    codes = {"before": options.before, "after": ours} if options.before else {"after": ours}
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="growth-") as scratch:
        root = Path(scratch)
        print("| what | " + " | ".join(f"{code}, s" for code in codes) + " | times as fast |")
        print("|---|" + "---|" * (len(codes) + 1))
        make_data_set(root, options.videos)
        for code, src in codes.items():  # the run that is resumed
            measured(MEASURE_START, src, root, root / f"run-{code}")
        times: dict[str, list[float]] = {code: [] for code in codes}
        for _ in range(options.repeats):
            for code, src in codes.items():
                times[code].append(measured(MEASURE_START, src, root, root / f"run-{code}"))
        size = sum(path.stat().st_size for path in (root / "store").rglob("*.zip"))
        show(f"`train --resume`, {options.videos} videos, {size / 1e9:.1f} GB prepared", times)
        shutil.rmtree(root / "store")
        for length in options.lengths:
            path = make_long_video(root / "long.zip", length)
            times = {code: [] for code in codes}
            for _ in range(options.repeats):
                for code, src in codes.items():
                    times[code].append(measured(MEASURE_READ, src, path))
            show(f"5 chunks of {length:,} frames", times)


def start(counts: list[int], folder: Path | None, repeats: int) -> None:
    """Print how long training and evaluation take to their first video."""
    src = Path(__file__).resolve().parents[1] / "src"
    print("| prepared videos | | seconds | of processor | GB of memory |\n|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory(dir=folder, prefix="growth-") as scratch:
            make_index(Path(scratch), count)
            for what in ("train", "evaluate"):
                tries = [
                    results(MEASURE_FIRST, src, Path(what), Path(scratch)) for _ in range(repeats)
                ]
                medians = [statistics.median(each) for each in zip(*tries, strict=True)]
                cells = " | ".join(f"{number:.1f}" for number in medians)
                print(f"| {count:,} | {what} | {cells} |", flush=True)


def make_index(root: Path, count: int) -> None:
    """Small prepared videos, copies of one, of as many small files, and an index of them."""
    from stresnet.data.store.index import FILE, Indexed, Look, write_rows
    from stresnet.data.store.location import store_path
    from stresnet.data.store.reader import StoredVideo
    from stresnet.model import STResNet
    from stresnet.training.recipes import QUICK

    made = StoredVideo(make_store(root / "one.zip", 2, (32, 32), "0.avi", "", QUICK.preparing))
    content, seal, preparation = made.path.read_bytes(), made.seal, made.index.preparation
    rows, found = ["path,label,split"], {}
    for number in range(count):
        name = f"{number % 101:03d}/{number}.avi"
        video, store = root / name, store_path(root / "store", name)
        for path, written in ((video, str(number).encode()), (store, content)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written)
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        found[name] = Indexed(seal, sha256, preparation, (), Look.of(video), Look.of(store))
        rows.append(f"{name},{name[:3]},{'test' if number % 2 else 'train'}")
    write_rows(root / "store" / FILE, found)
    (root / "list.csv").write_text("\n".join(rows) + "\n")
    net = STResNet(num_classes=101, depth=QUICK.depth)
    net.save_pretrained(
        root / "model",
        class_names=tuple(f"{label:03d}" for label in range(101)),
        preparation=preparation,
    )


def results(program: str, src: Path, *arguments: Path) -> list[float]:
    """The numbers that the program prints as its result."""
    return [float(number) for number in printed(program, src, *arguments).split()]


def show(what: str, times: dict[str, list[float]]) -> None:
    medians = {code: statistics.median(each) for code, each in times.items()}
    cells = [f"{seconds:.4f}" if seconds < 1 else f"{seconds:.1f}" for seconds in medians.values()]
    ratio = f"{medians['before'] / medians['after']:.1f}" if "before" in medians else "-"
    print(f"| {what} | {' | '.join(cells)} | {ratio} |", flush=True)


def measured(program: str, src: Path, *arguments: Path) -> float:
    """The number that the program prints as its result."""
    return float(printed(program, src, *arguments))


def printed(program: str, src: Path, *arguments: Path) -> str:
    """What the program prints as its result, run with the source in `src`."""
    environment = {**os.environ, "PYTHONPATH": str(src)}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:  # worker processes import it
        file.write(program)
        file.flush()
        done = subprocess.run(
            [sys.executable, file.name, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.rpartition("RESULT")[2]


def pictures(height: int, width: int) -> tuple[bytes, np.ndarray]:
    """A frame's JPEG and a flow field of noise as smooth as a real one."""
    from stresnet.data.store.jpeg import encode_rgb

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    image = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    flow = 128 + (image[..., :2].transpose(2, 0, 1) // 16)
    return encode_rgb(image), flow.astype(np.uint8)[np.newaxis]


def make_store(
    path: Path,
    frames: int,
    size: tuple[int, int],
    name: str,
    sha256: str,
    how: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    from stresnet.data.prepare.preparation import preparation
    from stresnet.data.store.format import Origin
    from stresnet.data.store.writer import store_writer

    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg, field = pictures(*size)
    with store_writer(
        path, origin=Origin(name, sha256), preparation=preparation(**how), libraries={}
    ) as writer:
        for index in range(frames):
            writer.add_frame_jpeg(jpeg, size, index / 25)
            if index:
                writer.add_flow(field)
    return path


def make_long_video(path: Path, frames: int) -> Path:
    return make_store(path, frames, (64, 64), "long.avi", "0" * 64)


def make_data_set(root: Path, count: int) -> None:
    """`count` different files for videos in two classes, and their stores, made a while ago."""
    from stresnet.data.store.location import store_path

    noise = np.random.default_rng(0).bytes(50_000)
    rows = ["path,label,split"]
    for number in range(count):
        name = f"{'ab'[number % 2]}/{number}.avi"
        content = json.dumps(number).encode() + noise
        video = root / "videos" / name
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(content)
        rows.append(f"{name},{name[0]},train")
        sha256 = hashlib.sha256(content).hexdigest()
        make_store(store_path(root / "store", name), FRAMES, (256, 340), video.name, sha256)
    (root / "videos" / "list.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
