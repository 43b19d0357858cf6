"""UCF101 reproduced at toy size: two classes, two splits, one iteration a phase."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_stores import PREPARATION, contents, without_processes, write_store
from stresnet.cli import app
from stresnet.data.prepare.estimate import PreparationEstimate
from stresnet.data.store.format import Origin
from stresnet.data.store.location import default_store, store_path
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.paper_numbers import TABLE_3
from stresnet.model import load_model
from stresnet.reproduction import (
    Job,
    estimate_reproduction,
    fourth_table,
    markdown,
    reproduce,
    third_table,
)
from stresnet.training import loop
from stresnet.training.recipes import PAPER, QUICK, RECIPES
from stresnet.training.run import train
from stresnet.training.runtime import Execution
from tiny_data import CLASSES, toy_video
from toy_training import in_child

IN_PROCESS = Execution("cpu", "fp32", workers=0)
TINY = replace(
    QUICK,
    depth="tiny",
    name="tiny",
    short_side=256,
    flow="authors",
    input_size=32,
    phases=tuple(
        replace(
            phase,
            batch=2,
            norm_group=2,
            unit="iterations",
            schedule=((1e-2, 2),),
            chunks=min(phase.chunks, 5),
        )
        for phase in QUICK.phases
    ),
)


def make_ucf101(root: Path) -> Path:
    """Official lists in two splits, of three groups a class, and what is prepared of them."""
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{n} {k}\n" for n, k in enumerate(CLASSES, 1)))
    for split in (1, 2):
        for part in ("train", "test"):
            lines = [
                f"{label}/v_{label}_g{group:02}_c01.avi{f' {number}' * (part == 'train')}\n"
                for number, label in enumerate(CLASSES, 1)
                for group in (1, 2, 3)
                if (group == split) == (part == "test")
            ]
            (lists / f"{part}list{split:02}.txt").write_text("".join(lines))
    for label in CLASSES:
        for group in (1, 2, 3):
            name = f"{label}/v_{label}_g{group:02}_c01.avi"
            path = store_path(root / "store", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            origin = Origin(Path(name).name, sha256="0" * 64)
            write_store(path, *toy_video(label, group), origin=origin, preparation=PREPARATION)
    return root


def job(root: Path, out: Path, **changes: object) -> Job:
    common = {"recipe": TINY, "splits": (1, 2), "store": root / "store"}
    return Job("ucf101", root, out, **common | {"execution": IN_PROCESS} | changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ucf101(tmp_path_factory.mktemp("data") / "UCF-101")


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reproduction that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_processes(monkeypatch)
        reproduce(job(root, out))
    return out


def results(out: Path) -> dict[str, bytes]:
    """What may not depend on where a reproduction was stopped: networks and scores."""
    found = {
        name: content
        for name, content in contents(out).items()
        if name.endswith("model.safetensors")
    }
    for path in (out / "report/scores").glob("*.npz"):
        with np.load(path) as scores:
            found[path.name] = scores["fused"].tobytes()
    return found


def test_one_call_trains_and_tests_every_split(whole: Path) -> None:
    for split in (1, 2):
        assert load_model(whole / f"split{split}/st_resnet_star").class_names == CLASSES
        with (whole / f"split{split}/split.csv").open() as file:
            tested = [row["name"] for row in csv.DictReader(file) if row["split"] == "test"]
        assert all(f"_g{split:02}_" in name for name in tested)
        assert len(tested) == 2
    said = json.loads((whole / "report/report.json").read_text())
    assert said["folds"] == [1, 2]
    assert {line["network"] for line in said["table"]} == {"two-stream", "ST-ResNet", "ST-ResNet*"}
    assert (whole / "report/index.html").exists()
    text = (whole / "tables.md").read_text()
    assert "| paper, mean of 3 splits | 82.29 | 79.05 | 89.47 | 92.76 | 93.46 |" in text
    assert "ours, mean of splits 1, 2" in text


def kill() -> None:
    """As kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(line: str) -> None:
    """Have the process killed when it logs the line."""

    class Killer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if re.fullmatch(line, record.getMessage()):
                kill()

    logger = logging.getLogger("stresnet")
    logger.setLevel(logging.INFO)
    logger.addHandler(Killer())


def kill_within(phase: str) -> None:
    """Have a phase kill its process between two iterations."""
    save = loop.save_checkpoint

    def save_and_kill(path: Path, *state: object) -> None:
        save(path, *state)  # type: ignore[arg-type]
        *_, step, _ = state
        if path.name.startswith(f"{phase}.") and step == 1:
            kill()

    loop.save_checkpoint = save_and_kill  # type: ignore[assignment]


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_end(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before preparation, between and within phases, while it evaluates."""
    out = tmp_path / "out"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    moments: list[Callable[[], None]] = [
        lambda: kill_at("prepare: the videos of all splits"),
        lambda: kill_at("train: split 1"),
        lambda: kill_within("motion"),
        lambda: kill_at("appearance: saved .*"),
        lambda: kill_within("st_resnet"),
        lambda: kill_at("train: split 2"),
        lambda: kill_at("st_resnet, paper, fold 2"),
    ]
    for place, moment in enumerate(moments):

        def run(moment: Callable[[], None] = moment) -> None:
            moment()
            reproduce(job(root, out))

        assert in_child(run) == [-signal.SIGKILL], place
    reproduce(job(root, out))
    ended, expected = results(out), results(whole)
    assert ended.keys() == expected.keys()
    assert [name for name in ended if ended[name] != expected[name]] == []


def test_what_is_done_is_not_done_again(
    root: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(whole)
    monkeypatch.setattr(loop, "load_groups", lambda *_, **__: pytest.fail("trained again"))
    scored = "stresnet.evaluation.scoring.score_video"
    monkeypatch.setattr(scored, lambda *_, **__: pytest.fail("scored again"))
    numbers = reproduce(job(root, whole))
    assert numbers == json.loads((whole / "report/report.json").read_text())
    after = contents(whole)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


def test_another_recipe_is_refused_in_the_same_folder(
    root: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "split1").mkdir()
    shutil.copy(whole / "split1/run.json", tmp_path / "split1/run.json")
    with pytest.raises(UsageError, match="holds a run with the seed 0, not 1"):
        reproduce(job(root, tmp_path, seed=1))


def test_a_split_may_be_trained_by_hand(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torchrun on several GPUs, for example: a split's folder is an ordinary run."""
    by_hand = tmp_path / "split1"
    shutil.copytree(whole / "split1", by_hand)
    monkeypatch.setattr(loop, "load_groups", lambda *_, **__: pytest.fail("trained again"))
    train(root, by_hand, recipe=TINY, fold=1, store=root / "store",
          execution=IN_PROCESS)  # fmt: skip
    assert (by_hand / "st_resnet/model.safetensors").read_bytes() == (
        whole / "split1/st_resnet/model.safetensors"
    ).read_bytes()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"one process.*split1"):
        reproduce(job(root, tmp_path))


def test_the_motion_stream_starts_from_another_reproduction(
    root: Path, whole: Path, tmp_path: Path
) -> None:
    """The same split's two-stream network: the first phase alone."""
    again = job(root, tmp_path, motion_weights=whole / "split{fold}/two_stream")
    assert again.training(2)["motion_weights"] == whole / "split2/two_stream"

    still = replace(
        TINY,
        phases=tuple(replace(phase, schedule=((1e-30, 1),)) for phase in TINY.phases),
    )
    train(root, tmp_path / "run", recipe=still, fold=1, store=root / "store",
          execution=IN_PROCESS, phases=["motion", "appearance"],
          motion_weights=again.training(1)["motion_weights"])  # fmt: skip
    given = load_model(whole / "split1/two_stream")
    started = load_model(tmp_path / "run/two_stream")
    assert torch.equal(started.motion.conv1.weight, given.motion.conv1.weight)
    assert not torch.equal(started.appearance.classifier.weight, given.appearance.classifier.weight)
    with pytest.raises(UsageError, match="or first weights"):
        train(root, tmp_path / "run", recipe=still, fold=1, store=root / "store")


def test_a_dry_run_says_what_it_takes_and_writes_nothing(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    preparation, phases = estimate_reproduction(job(root, tmp_path / "out"))
    assert not list(tmp_path.iterdir())
    assert preparation.videos == preparation.prepared == 6
    assert [estimate.phase for estimate in phases] == list(TINY.phases)


def test_the_command_line_prints_both_tables(
    root: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*options: str) -> str:
        command = ["reproduce", "ucf101", "--root", str(root), "--recipe", "quick"]
        given = ["--store", str(root / "store"), "--splits", "1,2", "--out", str(whole)]
        ended = CliRunner().invoke(app, [*command, *given, *options])
        assert ended.exit_code == 0, ended.stderr
        return ended.stdout + ended.stderr

    monkeypatch.setitem(RECIPES, "quick", TINY)
    tables = run()
    assert "Table 3" in tables
    assert "93.46" in tables
    assert "Table 4" in tables
    assert "94.6" in tables
    planned = run("--dry-run")
    assert "train: each of 2 splits as above; with preparation " in planned


def test_a_dry_run_names_the_store_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = PreparationEstimate(9, 0, (), 900, 36.0, 20.0, 1e8, 10**10)
    monkeypatch.setattr("stresnet.reproduction.estimate_reproduction", lambda _: (work, []))
    command = ["reproduce", "ucf101", "--root", str(tmp_path), "--recipe", "quick", "--dry-run"]
    planned = CliRunner().invoke(app, command)
    assert f"in {default_store(tmp_path, **QUICK.preparing)};" in planned.stderr


def test_every_option_reaches_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []

    def listen(given: Job) -> None:
        jobs.append(given)
        raise DatasetError("heard enough")

    monkeypatch.setattr("stresnet.reproduction.reproduce", listen)
    options = {
        "root": "videos",
        "out": "out",
        "lists": "lists",
        "recipe": "released-code",
        "weights": "r50.npz",
        "motion_weights": "ucf101",
        "store": "store",
        "seed": 3,
        "workers": 2,
        "device": "cpu",
        "precision": "fp32",
    }
    words = [w for name, value in options.items() for w in (f"--{name.replace('_', '-')}", value)]
    words = ["reproduce", "hmdb51", "--splits", "2,3,2", "--skip-broken", *map(str, words)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert "heard enough" in ended.stderr
    paths = {"root", "out", "lists", "store"}
    given = {name: Path(str(v)) if name in paths else v for name, v in options.items()}
    chosen = {name: given.pop(name) for name in ("workers", "device", "precision")}
    given["execution"] = Execution(**chosen)  # type: ignore[arg-type]
    assert jobs == [Job("hmdb51", splits=(2, 3), skip_broken=True, **given)]  # type: ignore[arg-type]

    CliRunner().invoke(app, ["reproduce", "ucf101", "--root", "videos"])
    assert jobs[1] == Job("ucf101", Path("videos"), Path("runs/ucf101"))


def test_what_cannot_be_reproduced_is_refused_at_once(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not one of ucf101, hmdb51"):
        replace(job(root, tmp_path), benchmark="kinetics")
    for splits in ((), (0, 1), (4,)):
        with pytest.raises(UsageError, match="some of 1, 2 and 3"):
            job(root, tmp_path, splits=splits)
    with pytest.raises(UsageError, match="no recipe 'papers'"):
        job(root, tmp_path, recipe="papers")
    with pytest.raises(UsageError, match=r"ResNet-101 starts from ImageNet weights.*--weights"):
        reproduce(job(root, tmp_path, recipe=replace(PAPER, depth=101)))
    with pytest.raises(DatasetError, match=r"holds no official lists of HMDB51\."):
        reproduce(replace(job(root, tmp_path), benchmark="hmdb51"))
    with pytest.raises(DatasetError, match="no such folder"):
        reproduce(job(tmp_path / "nowhere", tmp_path))
    with pytest.raises(DatasetError, match=r"missing videos \(6\)"):
        reproduce(job(root, tmp_path, store=tmp_path))
    assert not list(tmp_path.iterdir())


# Tables


def test_tables_put_ours_beside_the_paper_s(root: Path, whole: Path, tmp_path: Path) -> None:
    line = {"network": "ST-ResNet*", "row": "fused", "protocol": "paper"}
    said = {
        "folds": [1, 3],
        "table": [
            {**line, "protocol": "ten-crop", "top1": {"value": 0.1}, "of_folds": [0.1, 0.1]},
            {**line, "top1": {"value": 0.93459}, "of_folds": [0.9, 0.96918]},
        ],
    }
    third = third_table(said, "HMDB51")
    theirs = [f"{value:.2f}" for _, value in TABLE_3.values()]
    assert third[1:] == [
        ["paper, mean of 3 splits", *theirs],
        ["ours, mean of splits 1, 3", "–", "–", "–", "–", "93.46"],
        ["split 1", "–", "–", "–", "–", "90.00"],
        ["split 3", "–", "–", "–", "–", "96.92"],
    ]
    assert third_table({**said, "folds": [2]}, "UCF101")[-1][0] == "ours, split 2"
    assert ["ST-ResNet*", "66.4", "93.46"] in fourth_table(said, "HMDB51")
    assert "| ST-ResNet* + IDT | 70.3 | – |" in markdown(said, "HMDB51")
