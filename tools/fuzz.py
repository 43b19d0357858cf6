"""Damaged inputs of every kind: does anything crash, hang, or fail in a way that nobody foresaw?

    tools/fuzz.py --videos 10000 --others 10000        all of it: `make fuzz`
    tools/fuzz.py --only store --from 1234 --others 1  one case again

Each case is a function of its kind and number: a good file is made once, damaged by a generator of
that number, and read as a user's file is. Cases run in worker processes of our own, with a deadline
each, so that a crash or a hang is seen as what it is. What is counted:

    read      the input was taken, perhaps with a warning
    refused   by an error of `stresnet.errors`, which says what is wrong
    silent    damage passed without a word, though a checksum or a count could tell
    unforeseen, crash, hang
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from making_stores import write_store
from making_videos import ENCODERS, MJPEG, Video, moving_texture, read_video, write_video
from stresnet.data.annotations.boris import to_boris
from stresnet.data.annotations.elan import to_elan
from stresnet.data.annotations.label_studio import to_label_studio
from stresnet.data.annotations.read import is_annotations, read_annotations
from stresnet.data.splits.checks import check
from stresnet.data.splits.inputs import find_inputs
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.format import Origin
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.probe import lasts_longer, probe
from stresnet.errors import StresnetError
from stresnet.evaluation.score_files import read_scores
from stresnet.worker_process import report_progress
from stresnet.workers import map_in_processes

DEADLINE = 10.0  # seconds of processor time for a case
SILENCE = 120.0  # seconds without the end of a case, or of the imports before the first one
BATCH = 50  # cases that one job runs
FRAMES = 24
GOOD, BAD = ("read", "refused"), ("silent", "unforeseen", "crash", "hang")
COUNTED = (".mp4", ".mov", ".avi")  # whose headers count the pictures
STRANGE = [None, True, -1, 0, 1e308, 2**63, "", "\0", "a" * 5000, "../x", "=1+1", [], {}, [[]],
           float("nan"), float("inf"), "\ud800", "nan", [None], {"": None}]  # fmt: skip


# --- damage ---------------------------------------------------------------------------------------


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Change some bytes: flip, cut, drop, repeat, blank, or overwrite them with telling numbers."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        size = len(data)
        # Headers are short and matter most.
        place = draw.randrange(min(size, 512) if draw.random() < 0.4 else size) if size else 0
        length = min(draw.choice((1, 1, 2, 4, 16, 256, 4096)), size - place)
        kind = draw.randrange(7)
        if kind == 0 and size:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length]
        elif kind == 4:
            data[place : place + length] = bytes(length)
        elif kind == 5:
            data[place : place + length] = draw.randbytes(length)
        else:
            number = draw.choice((0, 1, 2**7, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1))
            data[place : place + 4] = number.to_bytes(4, draw.choice(("little", "big")))
    return bytes(data)


def changed(value: Any, draw: random.Random) -> Any:
    """Change one place of a JSON value."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(sorted(value))
        kind = draw.randrange(8)
        if kind == 0:
            return {name: each for name, each in value.items() if name != key}
        if kind == 1:
            return value | {"strange": draw.choice(STRANGE)}
        return value | {key: changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.7:
        place = draw.randrange(len(value))
        return [*value[:place], changed(value[place], draw), *value[place + 1 :]]
    return draw.choice(STRANGE)


def as_text(value: Any, draw: random.Random) -> bytes:
    text = json.dumps(value).encode()
    return damaged(text, draw) if draw.random() < 0.2 else text


# --- good files, made once for each process -------------------------------------------------------


@cache
def scratch() -> Path:
    """A folder that goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@cache
def clip(ending: str) -> bytes:
    frames = moving_texture(FRAMES, 32, 48)
    path = scratch() / f"good{ending}"
    if ending == ".mjpeg.avi":
        return write_video(path, frames, encoder=MJPEG).read_bytes()
    if ending == ".sound.mp4":
        return write_video(path, frames, sound=2).read_bytes()
    if ending == ".streamed.webm":
        return write_video(path, frames, streamed=True).read_bytes()
    if ending in (".ts", ".flv"):
        return write_video(path, frames, encoder=ENCODERS[".mp4"]).read_bytes()
    return write_video(path, frames).read_bytes()


CLIPS = (*ENCODERS, ".mjpeg.avi", ".sound.mp4", ".streamed.webm", ".ts", ".flv")


@cache
def store() -> bytes:
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    flow = np.full((3, 2, 16, 16), 128, np.uint8)
    path = scratch() / "good.zip"
    write_store(path, Video(frames, np.arange(4) / 25, ()), flow, origin=Origin("a", "0" * 64))
    return path.read_bytes()


@cache
def model() -> Path:
    import torch

    from stresnet.model import STResNet

    torch.manual_seed(0)
    net = STResNet(2, "tiny", input_size=32)
    net.save_pretrained(scratch() / "model", class_names=("a", "b"), bits=8)
    return scratch() / "model"


@cache
def weights(ending: str) -> bytes:
    import torch
    from safetensors.torch import save_file

    path, tensors = scratch() / f"good{ending}", {"a": torch.ones(3, 4), "b": torch.zeros(5)}
    if ending == ".safetensors":
        save_file(tensors, path)
    elif ending == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        torch.save(tensors, path)
    return path.read_bytes()


# --- cases: each returns "read", "refused" or "silent" --------------------------------------------


def video(draw: random.Random, path: Path) -> str:
    ending = draw.choice(CLIPS)
    path = path.with_name(f"case{Path(ending).suffix}")
    path.write_bytes(damaged(clip(ending), draw))
    try:
        info = probe(path, short_side=32)
        lasts_longer(path, 10)
    except StresnetError:
        info = None
    seen = read_video(path, short_side=32, max_frames=500)
    assert info is None or np.isfinite([info.seconds, info.fps]).all()
    assert np.isfinite(seen.times).all() and (np.diff(seen.times) > 0).all()
    # A picture that is gone shows in the count; one that is only ugly does not.
    is_less = path.suffix in COUNTED and len(seen.frames) < FRAMES - 1
    is_cut = clip(ending).startswith(path.read_bytes())  # and nothing else, so that counts hold
    return "silent" if is_less and is_cut and not seen.warnings else "read"


def prepared(draw: random.Random, path: Path) -> str:
    path = path.with_suffix(".zip")
    path.write_bytes(damaged(store(), draw))
    if path.read_bytes() == store():
        return "read"
    good = path.with_name("good.zip")
    good.write_bytes(store())
    found, expected = StoredVideo(path), StoredVideo(good)
    pictures = expected.frames(range(4)), expected.flow(range(3))
    try:
        same = found.num_frames == 4 and all(
            np.array_equal(a, b)
            for a, b in zip((found.frames(range(4)), found.flow(range(3))), pictures, strict=True)
        )
        _ = found.times, found.warnings, found.fps
    except (StresnetError, IndexError):
        same = True  # it was said
    if not same:
        return "silent"
    found.verify()
    return "silent"  # every byte is under the seal


def weight_file(draw: random.Random, path: Path) -> str:
    from stresnet.model.weight_files import read_tensors

    path = path.with_suffix(draw.choice((".safetensors", ".pth", ".pt", ".npz")))
    path.write_bytes(damaged(weights(path.suffix), draw))
    assert all(tensor.isfinite().all() for tensor in read_tensors(path).values())
    return "read"


def model_folder(draw: random.Random, path: Path) -> str:
    from stresnet.model import STResNet
    from stresnet.model.model_folder import read_model_folder

    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    config = json.loads((model() / "config.json").read_text(encoding="utf-8"))
    for _ in range(draw.choice((1, 1, 3))):
        config = changed(config, draw)
    (folder / "config.json").write_bytes(as_text(config, draw))
    weights = folder / "model.safetensors"
    if not weights.exists():
        weights.symlink_to(model() / "model.safetensors")
    read_model_folder(folder)
    STResNet.from_pretrained(folder)
    return "read"


def run_record(draw: random.Random, path: Path) -> str:
    from stresnet.training.recipe import Recipe
    from stresnet.training.recipes import recipe_named
    from stresnet.training.run_folder import read_run

    arguments = {"data": "x", "seed": 0, "recipe": recipe_named("quick").as_dict(),
                 "execution": {"device": "auto"}}  # fmt: skip
    run = changed({"fingerprint": "0", "arguments": arguments}, draw)
    path.with_name("run.json").write_bytes(as_text(run, draw))
    Recipe.from_dict(read_run(path.parent)["arguments"]["recipe"])
    return "read"


def table(draw: random.Random, path: Path) -> str:
    """A CSV list, as of a data set."""
    cells = ["a.mp4", "b.mp4", "run", "walk", "train", "test", "0", "1", "", "#", '"', "é", "-1",
             "../c.mp4", "1e9", "\ufeff", "=x()"]  # fmt: skip
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        path.with_name(name).write_bytes(name.encode())
    if draw.random() < 0.5:  # nearly right
        header = ["path", "label"]
        lines = [["a.mp4", "run"], ["b.mp4", "walk"], ["c.mp4", "run"]]
        draw.choice(lines)[draw.randrange(2)] = draw.choice(cells)
    else:
        header = draw.sample(["path", "label", "source", "fold", "split", "x"], draw.randint(2, 6))
        lines = [draw.choices(cells, k=draw.randint(1, 7)) for _ in range(draw.randint(0, 6))]
    end, comma = draw.choice(("\n", "\r\n", "\r")), draw.choice((",", ",", ",", ";", "\t"))
    text = end.join(comma.join(line) for line in [header, *lines])
    content = text.encode(draw.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")
    path = path.with_suffix(".csv")
    path.write_bytes(damaged(content, draw) if draw.random() < 0.5 else content)
    check(open_dataset(path))
    return "read"


def lists(draw: random.Random, path: Path) -> str:
    """The official lists of UCF101, and a list of inputs."""
    folder = path.with_suffix("")
    (folder / "Run").mkdir(parents=True, exist_ok=True)
    names = "Run/v_Run_g01_c01.avi 1\nRun/v_Run_g02_c01.avi 1\n"
    texts = {"classInd.txt": "1 Run\n2 Walk\n", "trainlist01.txt": names, "testlist01.txt": names}
    hit = draw.choice(sorted(texts))
    for name, text in texts.items():
        content = text.encode()
        (folder / name).write_bytes(damaged(content, draw) if name == hit else content)
    find_inputs(str(folder / hit))
    open_dataset(folder)
    return "read"


def annotations(draw: random.Random, path: Path) -> str:
    """What the tools for long videos write: text, or JSON."""
    segments, video = [(0.0, 1.5, "walk", 0.5), (2.0, 3.0, "run", None)], Path("a.mp4")
    texts = {
        "a.eaf": to_elan(segments, video),
        "a.tsv": to_boris(segments, video, duration=5, fps=25),
        "Run_val.txt": "a 1 2\nb 0:02 3\n",
    }
    label_studio = json.loads(to_label_studio(segments, video, fps=25))
    label_studio[0]["annotations"] = label_studio[0].pop("predictions")
    values = {
        "label-studio.json": label_studio,
        "activitynet.json": {
            "database": {"a": {"annotations": [{"segment": [0, 1], "label": "x"}]}},
        },
        "via.json": {
            "attribute": {"1": {"aname": "x", "options": {"0": "walk"}}},
            "file": {"1": {"fname": "a.mp4"}},
            "view": {"1": {"fid_list": [1]}},
            "metadata": {"1": {"vid": "1", "z": [0.5, 2], "av": {"1": "0"}}},
        },
    }
    name = draw.choice([*texts, *values])
    if name in texts:
        content = damaged(texts[name].encode(), draw)
    else:
        content = as_text(changed(values[name], draw), draw)
    path = path.with_name(name)
    path.write_bytes(content)
    is_annotations(path)
    for each in read_annotations(path):
        assert each.video.strip() and each.label.strip()
        assert np.isfinite([each.start, each.end or 0]).all()
    return "read"


def scores(draw: random.Random, path: Path) -> str:
    path = path.with_suffix(draw.choice((".csv", ".json", ".npz")))
    if path.suffix == ".csv":
        path.write_bytes(damaged(b"name,truth,a,b\nv1,a,0.5,0.5\nv2,b,1,0\n", draw))
    elif path.suffix == ".json":
        good = {"scores": {"v": [1.0, 2.0], "w": [0.0, 1.0]}, "class_names": ["a", "b"],
                "truth": {"v": "a", "w": "b"}}  # fmt: skip
        path.write_bytes(as_text(changed(good, draw), draw))
    else:
        np.savez(path, names=["v"], scores=[[1.0, 2.0]], class_names=["a", "b"], truth=[0])
        path.write_bytes(damaged(path.read_bytes(), draw))
    found = read_scores(path)
    assert np.isfinite(found.scores).all()
    return "read"


@cache
def page() -> Any:
    from fastapi.testclient import TestClient

    from stresnet.web.app import make_app
    from stresnet.web.job import Limits
    from stresnet.web.queue_service import Service

    # Never entered: no worker is started, jobs only wait.
    service = Service(limits=Limits(upload_bytes=2000, jobs_waiting=3), model="none")
    return TestClient(make_app(service), base_url="http://localhost")


def request(draw: random.Random, path: Path) -> str:
    parts = [
        *("api", "jobs", "files", "examples", "about", "..", "%2e%2e", "%00", "", "a" * 300, "é"),
        *("upload", "result.json", "fi014.mp4", "openapi.json", "?x=1", "index.html"),
    ]
    address = "/" + "/".join(draw.choices(parts, k=draw.randint(0, 5)))
    values = [
        *("0", "-1", "bytes=0-", "bytes=9-1,0-0", "multipart/form-data", "null", "localhost"),
        *("http://localhost", "gzip", "x" * 3000, "evil.example", "stresnet-client=x"),
    ]
    names = [
        *("Host", "Origin", "Range", "Content-Type", "Content-Encoding", "Cookie", "Accept"),
        *("If-Range", "If-None-Match", "X-Forwarded-For"),
    ]
    headers = {draw.choice(names): draw.choice(values) for _ in range(draw.randint(0, 3))}
    method = draw.choice(("GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "TRACE"))
    asked = {"name": draw.choice(("a", "../x", "\0", "é" * 500, ""))}
    if draw.random() < 0.5:
        asked = {"after": draw.choice(("-1", "x", "9" * 40)), "download": draw.choice(("1", "y"))}
    answer = page().request(
        method,
        f"http://localhost{address}",  # whole, since a path may begin with two slashes
        headers=headers,
        params=asked,
        content=draw.randbytes(draw.choice((0, 9, 3000))),
    )
    assert answer.status_code < 500, f"{method} {address}: {answer.status_code}"
    if answer.status_code == 201:
        page().delete(f"/api/jobs/{answer.json()['id']}")
    return "read" if answer.status_code < 400 else "refused"


KINDS: dict[str, Callable[[random.Random, Path], str]] = {
    "video": video,
    "store": prepared,
    "weights": weight_file,
    "model": model_folder,
    "run": run_record,
    "csv": table,
    "lists": lists,
    "annotations": annotations,
    "scores": scores,
    "rest": request,
}


def attempt(kind: str, number: int) -> tuple[str, str]:
    """Run one case in this process: its outcome, and what was said of it."""
    folder = scratch() / kind
    folder.mkdir(exist_ok=True)
    began = time.process_time()
    try:
        outcome, said = KINDS[kind](random.Random(f"{kind} {number}"), folder / "case"), ""
    except StresnetError:
        outcome, said = "refused", ""
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome, said = "unforeseen", f"{type(error).__name__}: {error} ({place.name})"
    if (took := time.process_time() - began) > DEADLINE:
        return "hang", f"{took:.0f} seconds"
    return outcome, said


def attempt_all(batch: tuple[str, Sequence[int]]) -> list[tuple[int, str, str]]:
    """Run some cases of one kind, with a sign of life after each."""
    logging.disable(logging.CRITICAL)  # in a process of its own
    kind, numbers = batch
    attempt(kind, -1)  # what is imported and made once
    found = []
    for number in numbers:
        report_progress(len(found) / len(numbers))
        found.append((number, *attempt(kind, number)))
    return found


# --- all of them ----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the cases of one kind: how many, which were bad, the longest time."""

    counts: Counter[str]
    bad: list[tuple[int, str]]


def fuzz(kind: str, first: int, count: int, workers: int | None) -> Tally:
    tally = Tally(Counter(), [])
    numbers = range(first, first + count)
    batches = {start: (kind, numbers[start : start + BATCH]) for start in range(0, count, BATCH)}
    while batches:
        again: dict[int, tuple[str, Sequence[int]]] = {}
        outcomes = map_in_processes(attempt_all, batches, workers=workers, deadline=SILENCE)
        for name, result in outcomes:
            of_batch = batches[name][1]
            if isinstance(result, list):
                found = result
            elif len(of_batch) > 1:  # one of them did it
                again |= {number: (kind, [number]) for number in of_batch}
                continue
            else:
                outcome = "hang" if "sign of life" in str(result) else "crash"
                found = [(of_batch[0], outcome, str(result))]
            for number, outcome, said in found:
                tally.counts[outcome] += 1
                if outcome in BAD:
                    tally.bad.append((number, f"{outcome}: {said}"))
        batches = again
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--others", type=int, default=10_000, help="of each other kind")
    parser.add_argument("--only", choices=KINDS, help="of one kind alone")
    parser.add_argument(
        "--from", dest="first", type=int, default=0, help="number of the first case"
    )
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    print(f"{'kind':9}{'cases':>7}" + "".join(f"{name:>12}" for name in GOOD + BAD) + "   seconds")
    is_well = True
    for kind in [given.only] if given.only else KINDS:
        count = given.videos if kind == "video" else given.others
        began = time.monotonic()
        tally = fuzz(kind, given.first, count, given.workers)
        counts = "".join(f"{tally.counts[name]:>12}" for name in GOOD + BAD)
        print(f"{kind:9}{count:>7}{counts}{time.monotonic() - began:>10.0f}", flush=True)
        for number, said in tally.bad[:20]:
            print(f"    {kind} {number}: {said[:300]}")
        is_well = is_well and not tally.bad
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
