"""The worker process: what it says comes through, and its death is noticed."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import stresnet
import stresnet.web.worker_main as work
from faking_worker import FAKE, REFUSING, wait_for
from stresnet.errors import EnvironmentProblem, StresnetError, VideoError, WeightsError
from stresnet.web.worker_client import TookTooLong, Worker, WorkerDied, raised, worker_command
from stresnet.web.worker_main import described


@pytest.fixture
def worker():
    worker = Worker([sys.executable, "-c", FAKE])
    yield worker
    worker.close()


def order(worker, folder, clip, seconds=30.0, on_news=lambda news: None):
    (folder / "upload").write_text(clip)
    return worker.run({"folder": str(folder)}, seconds=seconds, on_news=on_news)


def test_news_then_the_result(worker, tmp_path):
    assert worker.start() == {"classes": ["falls", "rises"]}
    news = []
    assert order(worker, tmp_path, "fine", on_news=news.append) == {"said": "fine"}
    assert news == [{"stage": "Looking", "progress": 0.5}]


def test_an_error_is_raised_here_and_the_process_goes_on(worker, tmp_path):
    worker.start()
    pid = worker.pid
    with pytest.raises(VideoError, match="no video"):
        order(worker, tmp_path, "damaged")
    assert order(worker, tmp_path, "fine") == {"said": "fine"}
    assert worker.pid == pid


def test_a_death_is_told_with_its_signal_and_a_new_start_mends_it(worker, tmp_path):
    worker.start()
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        order(worker, tmp_path, "killed")
    assert worker.pid is None
    worker.start()
    assert order(worker, tmp_path, "fine") == {"said": "fine"}


def test_a_kill_from_another_thread_ends_the_wait(worker, tmp_path):
    worker.start()
    threading.Timer(0.2, worker.kill).start()
    with pytest.raises(WorkerDied):
        order(worker, tmp_path, "long")


def test_time_is_limited(worker, tmp_path):
    worker.start()
    with pytest.raises(TookTooLong):
        order(worker, tmp_path, "long", seconds=0.2)
    assert worker.pid is None


def test_a_worker_that_cannot_begin_says_why():
    worker = Worker([sys.executable, "-c", REFUSING])
    with pytest.raises(WeightsError, match="no model"):
        worker.start()
    worker.close()


def test_one_that_was_never_started_does_nothing(tmp_path):
    with pytest.raises(WorkerDied, match="not started"):
        order(Worker(["none"]), tmp_path, "fine")


def test_when_the_server_is_gone_the_worker_clears_up_and_ends(tmp_path):
    """So that nothing stays even if the server is killed."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "clip").write_text("private")
    command = worker_command(scratch, model="no-model", threads=1)
    assert json.loads(command[-1])["threads"] == 1
    # Its server ends before the model is loaded.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    process.stdin.close()
    process.wait(60)
    wait_for(lambda: not scratch.exists())


def test_modules_in_the_current_directory_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('taken over')")
    monkeypatch.setenv("PYTHONPATH", str(Path(stresnet.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    worker = Worker(
        worker_command(
            scratch,
            model=str(tmp_path / "none"),
            device="cpu",
            precision="auto",
            threads=1,
        )
    )
    with pytest.raises(WeightsError, match="none"):
        worker.start()
    worker.close()


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (VideoError("no video", remedy="send one"), VideoError, "no video. Fix: send one"),
        (MemoryError(), EnvironmentProblem, "not enough memory"),
        (ZeroDivisionError("secret"), StresnetError, r"something went wrong \(ZeroDivisionError\)"),
    ],
)
def test_any_error_comes_over_as_words(error, kind, said, capsys):
    with pytest.raises(kind, match=said) as caught:
        raise raised(json.loads(json.dumps(described(error))))
    assert "secret" not in str(caught.value)
    # What nobody expected is in the log in full.
    assert ("secret" in capsys.readouterr().err) == isinstance(error, ZeroDivisionError)


def test_a_file_written_while_it_clears_up_goes_too(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    (scratch / "job").mkdir(parents=True)
    attempts, codes, remove = [], [], shutil.rmtree

    def raced(folder, **options):
        attempts.append(folder)
        if len(attempts) > 1:
            remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", raced)
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(work, "_lines", list)  # the server has gone
    work._read_orders(queue.Queue(), scratch)
    assert not scratch.exists()
    assert codes == [0]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("limit", "work", "told"),
    [
        ("limit_memory(200_000_000)", "bytearray(400_000_000)", "not enough memory"),
        ("limit_time(0.1)", "exec('while True: pass')", "SIGXCPU"),
        # Whoever starts the server may have set limits that cannot be raised.
        (
            "import resource as r; r.setrlimit(r.RLIMIT_AS, (8 * 10**9,) * 2); "
            "r.setrlimit(r.RLIMIT_CPU, (300,) * 2); limit_memory(10**12); limit_time(10**6)",
            "print(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_CPU)[0])",
            "8000000000 300",
        ),
    ],
)
def test_memory_and_processor_time_of_the_worker_are_limited(limit, work, told):
    script = (
        "from stresnet.web.worker_main import described, limit_memory, limit_time\n"
        f"{limit}\n"
        "try:\n"
        f"    {work}\n"
        "except MemoryError as error:\n"
        "    print(described(error)['problem'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    ended = signal.Signals(-done.returncode).name if done.returncode < 0 else ""
    assert told in done.stdout + ended, done.stderr
