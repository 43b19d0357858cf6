"""Files and folders are there whole, or not at all; what is left of the dead is removed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

import stresnet.files as files_module
from stresnet.errors import EnvironmentProblem
from stresnet.files import atomic_directory, atomic_write, remove_stale_partials


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with atomic_write(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(EnvironmentProblem, match="the disk is full"),
        atomic_write(tmp_path / "file"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_who_may_read_it_is_as_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with atomic_write(tmp_path / "weights") as partial:
        save_file({"a": torch.zeros(1)}, partial)
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC, errno.EIO])
def test_errors_of_other_files_are_not_explained_as_ours(tmp_path: Path, code: int) -> None:
    """Reading an input that is forbidden says nothing about the folder that is written."""
    other = str(tmp_path / "other")
    with pytest.raises(OSError, match="other"), atomic_write(tmp_path / "file"):
        raise OSError(code, os.strerror(code), other)
    with pytest.raises(OSError, match="other"), atomic_directory(tmp_path / "f", ours=r".*\.jpg$"):
        raise OSError(code, os.strerror(code), other)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    for writing in (
        atomic_write(tmp_path / "a"),
        atomic_directory(tmp_path / "b", ours=r".*\.jpg$"),
    ):
        with pytest.raises(EnvironmentProblem, match="cannot be written"), writing:
            raise AssertionError


def test_two_threads_may_write_one_file(tmp_path: Path) -> None:
    """The last to finish wins, and neither sees the other's half."""
    path = tmp_path / "file"
    both = threading.Barrier(2, timeout=10)

    def write(text: str) -> None:
        with atomic_write(path) as partial:
            partial.write_text(text)
            both.wait()
            assert partial.read_text() == text

    threads = [threading.Thread(target=write, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [path]


# --- folders ------------------------------------------------------------------------------------


def picture(folder: Path, content: str) -> None:
    with atomic_directory(folder, ours=r".*\.jpg$") as partial:
        (partial / "0.jpg").write_text(content)


def replace_and_die(folder: Path, at: int) -> None:
    """Die by kill -9 right after the rename of that number."""
    renames = 0
    rename = Path.rename

    def rename_or_die(path: Path, target: Path) -> None:
        nonlocal renames
        rename(path, target)
        if renames == at:
            os.kill(os.getpid(), signal.SIGKILL)
        renames += 1

    Path.rename = rename_or_die  # type: ignore[method-assign,assignment]
    picture(folder, "new")
    os._exit(0)


@pytest.mark.parametrize(("at", "left"), [(0, "old"), (1, "new")])
def test_a_killed_replacement_loses_neither_folder(tmp_path: Path, at: int, left: str) -> None:
    folder = tmp_path / "clip"
    picture(folder, "old")
    context = multiprocessing.get_context("fork")
    child = context.Process(target=replace_and_die, args=(folder, at))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(RuntimeError), atomic_directory(folder, ours=r".*\.jpg$"):
        raise RuntimeError  # this run fails, too
    assert (folder / "0.jpg").read_text() == left
    picture(folder, "newest")
    remove_stale_partials([folder])
    assert (folder / "0.jpg").read_text() == "newest"
    assert list(tmp_path.iterdir()) == [folder]


# --- what the dead leave behind -----------------------------------------------------------------

HOST = files_module._host()


def test_only_leftovers_of_the_dead_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    while dead.poll() is None:
        time.sleep(0.01)
    target = tmp_path / "clip.zip"
    kept = [
        tmp_path / f".clip.zip.{os.getpid()}-{HOST}0000.partial",
        tmp_path / f".other.zip.{dead.pid}-{HOST}0000.partial",
        tmp_path / ".clip.zip.mine.partial",
        target,
    ]
    leftover = tmp_path / f".clip.zip.{dead.pid}-{HOST}0000.partial"
    for path in [*kept, leftover]:
        path.touch()
    remove_stale_partials([target, tmp_path / "none" / "clip.zip"])
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_dead_process_that_nobody_collected_counts_as_dead(tmp_path: Path) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still listed
    leftover = tmp_path / f".clip.zip.{zombie.pid}-{HOST}0000.partial"
    leftover.touch()
    remove_stale_partials([tmp_path / "clip.zip"])
    assert not leftover.exists()
    zombie.wait()


def test_partials_of_another_machine_are_removed_when_they_are_old(tmp_path: Path) -> None:
    target = tmp_path / "clip.zip"
    other = next(host for host in ("0000", "1111") if host != HOST)
    young = tmp_path / f".clip.zip.1-{other}0000.partial"
    old = tmp_path / f".clip.zip.1-{other}0001.partial"
    for path in (young, old):
        path.touch()
    day_ago = time.time() - files_module.STALE_SECONDS - 60
    os.utime(old, (day_ago, day_ago))
    remove_stale_partials([target])
    assert list(tmp_path.iterdir()) == [young]


def test_no_signal_is_sent_where_signal_0_would_end_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, signal 0 is Ctrl-C."""
    monkeypatch.setattr(files_module, "os", SimpleNamespace(name="nt"))  # and no os.kill
    partial = tmp_path / "partial"
    partial.touch()
    assert not files_module._stale(partial, os.getpid(), HOST)
