"""SIGTERM and Ctrl-C, whoever gets them and however often: the exit code, and a checkpoint."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stresnet.training.checkpoint import weights_of
from tiny_data import toy_store

SCRIPT = """
import signal, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {tests!r})
from stresnet.signals import ending_signals
from stresnet.training.interrupt import Interrupted
from toy_training import PHASE, make_run, trained
items = [(Path(path), label) for path, label in {items!r}]
phase = replace(PHASE, schedule=((1e-3, 100_000),))
for number in ending_signals():  # one that comes after training has stopped ends nothing more
    signal.signal(number, lambda number, frame: None)
try:
    trained(make_run(items, Path({out!r}), phase, workers=2))
except Interrupted as stopped:
    for number in ending_signals():  # Python takes its own handlers away before it ends
        signal.signal(number, signal.SIG_IGN)
    sys.exit(stopped.exit_code)
"""


@contextmanager
def training(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A training process with two loaders, in a group of its own, that has done some steps."""
    items = [(str(path), label) for path, label in toy_store(tmp_path / "store", videos=2)]
    out = tmp_path / "run"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), items=items, out=str(out)))
    process = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        log = out / "log.csv"
        while not log.exists() or len(log.read_text().splitlines()) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def loaders(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def send(process: subprocess.Popen[str], whom: str, number: signal.Signals) -> None:
    if whom == "group":
        os.killpg(process.pid, number)
    elif whom == "group twice":
        os.killpg(process.pid, number)
        time.sleep(0.1)
        os.killpg(process.pid, number)
    elif whom == "loader":
        os.kill(loaders(process.pid)[0], number)
    else:
        os.kill(process.pid, number)


def stopped_well(process: subprocess.Popen[str], out: Path, number: signal.Signals) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert weights_of(out / "st_resnet.checkpoint.safetensors")[0] >= 2


@pytest.mark.parametrize(
    ("whom", "number"),
    [
        ("group twice", signal.SIGTERM),
        pytest.param("loader", signal.SIGTERM, marks=pytest.mark.slow),
        # the terminal is closed
        pytest.param("group", signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param("main", signal.SIGUSR1, marks=pytest.mark.slow),  # a scheduler's warning
    ],
)
def test_a_signal_ends_training_with_a_checkpoint(
    tmp_path: Path, whom: str, number: signal.Signals
) -> None:
    with training(tmp_path) as process:
        send(process, whom, number)
        stopped_well(process, tmp_path / "run", number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_signal_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    number = draw.choice([signal.SIGTERM, signal.SIGINT])
    with training(tmp_path) as process:
        time.sleep(draw.uniform(0, 2))
        send(process, draw.choice(["main", "loader", "group", "group twice"]), number)
        stopped_well(process, tmp_path / "run", number)
