"""SIGTERM and Ctrl-C, in every verb: to the main process, to a worker, to the group, twice.

The exit code is 143 or 130 within ten seconds, nothing is left behind, nobody sees a traceback.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from making_videos import moving_texture, write_video

STRESNET = Path(sys.executable).with_name("stresnet")
WITHIN = 10.0  # seconds from the signal to the end
MOMENTS = 100  # random ones, over all verbs (slow)
# By verb its arguments; {} is a folder of the test's own.
VERBS = {
    "prepare": "prepare {}/data --out {}/store --workers 2",
    "train": "train {}/data --out {}/run --store {}/store --workers 1 --recipe quick",
    "evaluate": "evaluate fight {}/data --out {}/report --store {}/store --workers 2",
    "predict": "predict fight {}/data/fight/0.mp4 --timeline --srt {}/out --json",
    "idt": "idt extract {}/data --out {}/features --workers 2",
    "reproduce": "reproduce ucf101 --root {}/ucf --out {}/tables --store {}/store --weights none",
    "serve": "serve fight --port 0",
}
WHOM = ("main", "worker", "group", "twice")

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of clips, each of which takes long; and the same as UCF101."""
    folder = tmp_path_factory.mktemp("signals")
    clip = write_video(folder / "clip.mp4", moving_texture(250, 128, 160, step=(1, 0)))
    names = {"fight": "fight", "noFight": "noFight"}
    for label in names:
        for number in range(3):
            path = folder / "data" / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip.read_bytes() + bytes([number, label == "fight"]))
    lists = folder / "ucf"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Run\n2 Walk\n")
    for fold in (1, 2, 3):
        listed = {"train": [], "test": []}
        for label in ("Run", "Walk"):
            for number in (1, 2, 3):
                name = f"{label}/v_{label}_g0{number}_c01.avi"
                path = lists / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(clip.read_bytes() + bytes([number, label == "Run", 7]))
                listed["test" if number == fold else "train"].append(name)
        for part, found in listed.items():
            (lists / f"{part}list0{fold}.txt").write_text("\n".join(found) + "\n")
    return folder


class Running:
    """A verb in a process group of its own, with a folder for temporary files of its own."""

    def __init__(self, verb: str, data: Path, folder: Path, before: tuple[str, ...] = ()) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        words = VERBS[verb].replace("{}/data", f"{data}/data").replace("{}/ucf", f"{data}/ucf")
        self.errors = (folder / "errors").open("w+")
        self.process = subprocess.Popen(
            [*before, STRESNET, *words.replace("{}", str(folder)).split()],
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(self.scratch)},
        )

    def obeys(self) -> bool:
        """Whether it has begun to handle SIGTERM; until then, signals end Python by themselves."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def workers(self) -> list[int]:
        """Process ids of the children that work; not of what Python keeps for itself."""
        found = []
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in children.read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"resource_tracker" not in command and b"git" not in command:
                    found.append(int(pid))
        return found

    def send(self, whom: str, number: signal.Signals) -> str:
        """Send the signal; return whom it reached."""
        pid = self.process.pid
        workers = self.workers() if whom == "worker" else []
        if workers:
            os.kill(random.choice(workers), number)
            return "worker"
        for _ in range(2 if whom == "twice" else 1):
            if whom == "main" or whom == "worker":
                os.kill(pid, number)
            else:
                os.killpg(pid, number)
            time.sleep(0.1)
        return "main" if whom == "worker" else whom

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.errors.close()


@pytest.fixture
def running(data: Path, tmp_path: Path) -> Iterator[list[Running]]:
    started: list[Running] = []
    yield started
    for each in started:
        each.close()


def ends_well(
    job: Running, whom: str, number: signal.Signals, *, may_be_done: bool = False
) -> None:
    began = time.monotonic()
    reached = job.send(whom, number)
    if reached == "worker" and number == signal.SIGINT:
        return  # which is for the main process, and ignored by workers
    code = job.process.wait(60)
    seconds = time.monotonic() - began
    said = job.said()
    assert code == 128 + number or (code == 0 and may_be_done), said
    assert seconds < WITHIN, said
    assert "Traceback" not in said and "Exception ignored" not in said, said
    left = [path for path in job.scratch.rglob("*") if path.is_file()]
    assert not left


@pytest.mark.parametrize(
    ("verb", "whom", "number"),
    [
        ("prepare", "twice", signal.SIGTERM),
        ("prepare", "worker", signal.SIGTERM),
        ("predict", "twice", signal.SIGINT),
        ("prepare", "group", signal.SIGHUP),
        ("serve", "main", signal.SIGHUP),
    ],
)
def test_a_signal_ends_the_work(
    data: Path, tmp_path: Path, running: list[Running], verb: str, whom: str, number: signal.Signals
) -> None:
    job = Running(verb, data, tmp_path)
    running.append(job)
    until = time.monotonic() + 60
    while not (job.workers() or job.said()) and time.monotonic() < until:  # at work
        time.sleep(0.05)
    time.sleep(0.5)
    ends_well(job, whom, number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_signal_at_any_moment(
    data: Path, tmp_path: Path, running: list[Running], seed: int
) -> None:
    draw = random.Random(seed)
    random.seed(seed)
    verb = list(VERBS)[seed % len(VERBS)]
    job = Running(verb, data, tmp_path)
    running.append(job)
    while job.process.poll() is None and not job.obeys():
        time.sleep(0.01)
    time.sleep(draw.uniform(0, 12))
    if job.process.poll() is None:
        whom = draw.choice([*WHOM] if verb != "serve" else ["main", "group", "twice"])
        number = draw.choice([signal.SIGTERM, signal.SIGINT])
        ends_well(job, whom, number, may_be_done=True)
    else:  # it was done before
        assert job.process.wait() == 0, job.said()
    shutil.rmtree(tmp_path)


def test_nohup_keeps_its_meaning(data: Path, tmp_path: Path, running: list[Running]) -> None:
    job = Running("prepare", data, tmp_path, ("nohup",))
    running.append(job)
    until = time.monotonic() + 60
    while not job.workers() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    job.send("group", signal.SIGHUP)
    time.sleep(0.5)
    assert job.process.poll() is None
    ends_well(job, "group", signal.SIGTERM)


def test_a_signal_waits_for_an_import_to_end(tmp_path: Path) -> None:
    """An exception that leaves an import of torch's C++ modules aborts the process."""
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "pathlib.Path('begun').touch()\n"
        "time.sleep(0.5)\n"
        "pathlib.Path('imported').touch()\n"
    )
    (tmp_path / "program.py").write_text(
        "import sys, time\n"
        "from stresnet.cli.process import Stop\n"
        "stop = Stop()\n"
        "stop.install()\n"
        "try:\n"
        "    import slow\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    stop.end(stop.exit_code)\n"
    )
    process = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert (tmp_path / "imported").exists()


def test_what_the_end_leaves_half_made_is_not_reported(tmp_path: Path) -> None:
    """As in a worker process: a destructor that fails for what a signal kept from being made."""
    (tmp_path / "program.py").write_text(
        "import os, signal, time\n"
        "from stresnet.cli.process import Stop\n"
        "stop = Stop()\n"
        "stop.install()\n"
        "class HalfMade:\n"
        "    def __init__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "        self.made = True\n"
        "    def __del__(self):\n"
        "        self.made\n"
        "HalfMade()\n"
    )
    command = [sys.executable, "program.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (143, "")
