"""Worker processes: what crashes, dies or hangs costs one job, and stopping takes seconds."""

from __future__ import annotations

import csv
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TypeVar

import pytest

import stresnet.workers as workers_module
from stresnet.errors import JobError, VideoError
from stresnet.jobs import Done, job_report, write_failures
from stresnet.progress import Progress
from stresnet.worker_process import report_progress, worker_number
from stresnet.workers import map_in_processes

Job = TypeVar("Job")


def named(jobs: Iterable[Job]) -> dict[Job, Job]:
    return {job: job for job in jobs}


def square_or_die(number: int) -> int:
    report_progress(number / 10)
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        raise VideoError("four", remedy="five")
    if number == 5:
        raise ZeroDivisionError("nought")
    return number**2


@pytest.mark.parametrize("workers", [1, 3])
def test_what_kills_a_worker_costs_one_job(workers: int) -> None:
    outcomes = dict(map_in_processes(square_or_die, named(range(8)), workers=workers))
    assert [outcomes[number] for number in (0, 1, 2, 6, 7)] == [0, 1, 4, 36, 49]
    assert isinstance(outcomes[3], JobError)
    assert "died (exit code -9)" in str(outcomes[3])
    assert isinstance(outcomes[4], VideoError)
    assert outcomes[4].remedy == "five"
    assert str(outcomes[5]) == "ZeroDivisionError: nought"


def be_ended_in_a_callback(seconds: float) -> None:
    """Python drops what is raised there, as numba's compiler has it."""
    ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGTERM))()
    time.sleep(seconds)


def test_a_signal_in_a_library_s_callback_ends_a_worker(capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    ((_, outcome),) = map_in_processes(be_ended_in_a_callback, {0: 60.0}, workers=1)
    assert time.monotonic() - began < 30
    assert "died (exit code 143)" in str(outcome)
    assert "Traceback" not in capfd.readouterr().err


class HalfMade:
    """Ended while it is made, as llvmlite's objects may be; what cleans it up then fails."""

    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        self.made = True

    def __del__(self) -> None:
        assert self.made


def be_ended_half_made(_: int) -> None:
    HalfMade()


def test_what_an_ending_worker_leaves_half_made_is_not_reported(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ((_, outcome),) = map_in_processes(be_ended_half_made, {0: 0}, workers=1)
    assert "died (exit code 143)" in str(outcome)
    assert "Traceback" not in capfd.readouterr().err


def mark(path: Path) -> None:
    path.touch()


def test_jobs_run_while_the_consumer_is_busy_and_no_further(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(4)]
    running = map_in_processes(mark, named(paths), workers=1)
    wait_for(paths[0])  # though nobody has asked for a result yet
    next(running)
    wait_for(paths[1])
    time.sleep(0.2)
    assert not paths[2].exists()
    assert [name for name, _ in running] == paths[1:]


def test_a_worker_without_jobs_ends_while_the_consumer_is_busy() -> None:
    running = map_in_processes(process_of, named([1, 2]), workers=1)
    number = next(running)[1]
    assert isinstance(number, int) and process_exists(number)
    next(running)
    until = time.monotonic() + 30
    while process_exists(number):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not list(running)


def process_exists(number: int) -> bool:
    multiprocessing.active_children()  # which also buries those that have ended
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def test_nothing_to_do_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "Worker", None)
    assert list(map_in_processes(mark, {}, workers=2)) == []


def test_worker_processes_have_numbers() -> None:
    found = dict(map_in_processes(number_after_all, {1: 1, 2: 2, 3: 3}, workers=2))
    assert set(found.values()) == {0, 1}
    assert worker_number() == 0


def number_after_all(job: int) -> int:
    """Slow enough that each worker gets a job."""
    time.sleep(0.5)
    return worker_number()


# --- workers that die ---------------------------------------------------------------------------


def own_pid(number: int) -> int:
    return os.getpid()


def test_a_worker_that_died_idle_costs_nobody() -> None:
    running = map_in_processes(own_pid, named(range(4)), workers=1)
    _, first = next(running)
    os.kill(first, signal.SIGKILL)  # as the system does when memory is short
    while Path(f"/proc/{first}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    outcomes = [outcome for _, outcome in running]
    assert all(isinstance(outcome, int) for outcome in outcomes)
    assert first not in outcomes[1:]  # the next job may have been done before


def test_a_script_without_a_main_guard_ends_at_once_with_the_cure(tmp_path: Path) -> None:
    """Each process that it starts would start it again, which Python forbids by an error."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from stresnet.workers import map_in_processes\n"
        "jobs = {number: number for number in range(1000)}\n"
        "list(map_in_processes(abs, jobs, workers=2))\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    last = ended.stderr.rstrip().rpartition("EnvironmentProblem: ")[2]
    assert last.startswith("a worker process could not start")
    assert '`if __name__ == "__main__":`' in last


def die_up_to(limit: int, path: Path) -> int:
    tries = len(path.read_text()) + 1 if path.exists() else 1
    path.write_text("x" * tries)
    if tries <= limit:
        os.kill(os.getpid(), signal.SIGKILL)
    return tries


def die_once(path: Path) -> int:
    return die_up_to(1, path)


def die_always(path: Path) -> int:
    return die_up_to(99, path)


def test_a_job_whose_process_died_is_tried_once_more(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ac"]
    outcomes = list(map_in_processes(die_once, named(paths), workers=1))
    assert outcomes == [(path, 2) for path in paths]
    ((_, outcome),) = map_in_processes(die_always, named([tmp_path / "b"]), workers=1)
    assert isinstance(outcome, JobError)
    assert (tmp_path / "b").read_text() == "xx"


# --- workers that hang --------------------------------------------------------------------------


def hang_at_two(number: int) -> int:
    if number == 2:  # as in C code, where no signal handler of Python's runs
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        time.sleep(1000)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_hangs_is_killed_and_counted(workers: int) -> None:
    began = time.monotonic()
    outcomes = dict(map_in_processes(hang_at_two, named(range(4)), workers=workers, deadline=4))
    assert time.monotonic() - began < 60
    assert [outcomes[number] for number in (0, 1, 3)] == [0, 1, 3]
    assert isinstance(outcomes[2], JobError)
    assert "no sign of life for 4 seconds" in str(outcomes[2])


def slow_but_alive(number: int) -> int:
    for _ in range(9):
        time.sleep(0.5)
        report_progress(0.5)
    return number


def test_a_sign_of_life_starts_the_deadline_again() -> None:
    assert list(map_in_processes(slow_but_alive, {7: 7}, workers=1, deadline=4)) == [(7, 7)]


def short_nap(number: int) -> int:
    time.sleep(0.1)
    return number


def test_a_consumer_that_takes_its_time_is_not_a_hang() -> None:
    seen = []
    for number, outcome in map_in_processes(short_nap, named(range(3)), workers=1, deadline=4):
        assert outcome == number
        seen.append(number)
        time.sleep(4.5 if number == 0 else 0)
    assert seen == [0, 1, 2]


STOPPED = """
import os, signal, subprocess, sys, time
sys.path.insert(0, {tests!r})
from stresnet.workers import map_in_processes
from test_workers import one_second

if __name__ == "__main__":
    outcomes = map_in_processes(one_second, {{1: 1}}, workers=1, deadline=3)
    resume = f"sleep 4; kill -CONT -{{os.getpid()}}"
    subprocess.Popen(["sh", "-c", resume], start_new_session=True)
    os.killpg(0, signal.SIGSTOP)
    sys.exit(list(outcomes) != [(1, 1)])
"""


def one_second(number: int) -> int:
    time.sleep(1)
    return number


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_z_is_not_a_hang(tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    assert process.wait(60) == 0


def test_a_signal_waits_until_a_worker_has_all_that_it_starts_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, started = SpawnProcess.start, []

    def interrupted(process: SpawnProcess) -> None:
        signal.raise_signal(signal.SIGTERM)
        start(process)
        started.append(process)

    def end(number: int, frame: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(SpawnProcess, "start", interrupted)
    former = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(SystemExit):
            list(map_in_processes(abs, {"it": -1}, workers=1))
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, former)
    assert len(started) == 1
    started[0].kill()


HANG = """
import signal, sys, time
from pathlib import Path
import stresnet.workers as workers

def hang(folder):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    (folder / "hangs").write_text(str(__import__("os").getpid()))
    time.sleep(1000)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line does
    workers.STOP_SECONDS = 0.5
    list(workers.map_in_processes(hang, {"it": Path(sys.argv[1])}, workers=1))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_takes_seconds_though_a_worker_hangs(tmp_path: Path, sent: signal.Signals) -> None:
    (tmp_path / "hang.py").write_text(HANG)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "hang.py", tmp_path], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "hangs").exists() or not (tmp_path / "hangs").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    worker = Path("/proc", (tmp_path / "hangs").read_text())
    process.send_signal(sent)
    process.wait(timeout=20)
    until = time.monotonic() + 20
    while worker.exists() and worker.joinpath("stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.05)


# --- named jobs ---------------------------------------------------------------------------------


def done_or_not(number: int) -> Done:
    if number == 1:
        raise VideoError("one")
    report_progress(0.5)
    return Done(skipped=number == 2, warnings=("odd",) if number else (), value=number)


def test_a_report_names_what_became_of_each_job(tmp_path: Path) -> None:
    progress: list[Progress] = []
    values = {}
    jobs = {name: number for number, name in enumerate("abcd")}
    report = job_report(
        map_in_processes(done_or_not, jobs, workers=1, on_progress=progress.append),
        tmp_path / "failures.csv",
        on_done=lambda name, done: values.setdefault(name, done.value),
    )
    assert (report.done, report.skipped) == (("a", "d"), ("c",))
    assert report.failures == (("b", "one"),)
    assert report.warnings == (("c", "odd"), ("d", "odd"))
    assert values == {"a": 0, "c": 2, "d": 3}
    assert [each.done for each in progress] == [0.5, 1, 2, 2.5, 3, 3.5, 4]
    assert (tmp_path / "failures.csv").read_text().splitlines() == ["video,reason", "b,one"]


def test_cells_are_never_formulas(tmp_path: Path) -> None:
    path = tmp_path / "failures.csv"
    names = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a,"b"\nc', os.fsdecode(b"\xff"), "plain"]
    write_failures(path, [(name, "why") for name in names])
    with path.open(encoding="utf-8", newline="") as file:
        cells = [row["video"] for row in csv.DictReader(file)]
    assert cells == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", 'a,"b"\nc', "\\udcff", "plain"]
    write_failures(path, [])
    assert not path.exists()


def process_of(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_a_spare_process_does_the_next_calls_jobs() -> None:
    spare: list[workers_module.Worker] = []

    def where(number: int) -> object:
        ((_, outcome),) = map_in_processes(process_of, {0: number}, workers=1, spare=spare)
        return outcome

    first = where(1)
    assert where(2) == first
    assert isinstance(where(3), JobError)
    assert not spare
    assert where(4) != first
    workers_module._stop(spare)
