"""Where the machine code of flow's loops is kept."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stresnet.flow.jit as subject
from stresnet.flow.jit import cache_folder, compiled

FLOW_OF_A_PAIR = """
import numpy as np
from stresnet.flow import FAST, tv_l1
frames = np.random.default_rng(0).integers(0, 256, (2, 24, 24), np.uint8)
print(np.abs(tv_l1(frames, parameters=FAST)).sum())
"""


@pytest.fixture(autouse=True)
def fresh():
    cache_folder.cache_clear()
    yield
    cache_folder.cache_clear()


def started(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_may_fill_one_cache_at_once(tmp_path):
    pair = [started(FLOW_OF_A_PAIR, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    sums = [process.communicate()[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sums[0] == sums[1] != ""
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    assert kept
    third = started(FLOW_OF_A_PAIR, NUMBA_CACHE_DIR=str(tmp_path))
    assert third.communicate()[0] == sums[0]
    # Nothing was compiled again.
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == kept


@pytest.mark.slow
def test_any_processor_of_the_kind_gives_nearly_the_same_flow(tmp_path):
    # "generic" has none of the vector instructions that this processor may have.
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    processes = [
        started(FLOW_OF_A_PAIR, NUMBA_CACHE_DIR=str(tmp_path), **settings)
        for settings in ({}, generic)
    ]
    here, anywhere = (float(process.communicate()[0]) for process in processes)
    assert anywhere == pytest.approx(here, rel=1e-3)


def test_a_changed_source_has_another_folder(monkeypatch, tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "a.py").write_text("1")
    monkeypatch.setattr(subject, "SOURCES", sources)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first = cache_folder()
    (sources / "a.py").write_text("2")
    cache_folder.cache_clear()
    second = cache_folder()
    assert first.parent == second.parent == tmp_path
    # Loops of IDT are compiled with the constants of its other files.
    (tmp_path / "idt").mkdir()
    (tmp_path / "idt" / "layout.py").write_text("3")
    cache_folder.cache_clear()
    assert len({first, second, cache_folder()}) == 3


def test_code_of_older_sources_is_removed_beside_them_and_elsewhere_when_unused(
    monkeypatch, tmp_path
):
    old, other = (f"stresnet-{digit * 16}" for digit in "0a")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(subject, "SOURCES", tmp_path)
    shared = tmp_path / "shared"
    for folder in (tmp_path / "__pycache__" / old, shared / old, shared / other):
        folder.mkdir(parents=True)
    (shared / "mine").mkdir()
    os.utime(shared / old, (0, 0))
    beside = cache_folder()
    assert [path.name for path in beside.parent.iterdir()] == [beside.name]
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(shared))
    cache_folder.cache_clear()
    here = cache_folder()
    assert {path.name for path in shared.iterdir()} == {here.name, other, "mine"}


def unwritable(path: Path) -> Path:
    """A folder below a file cannot be made, whoever asks."""
    path.write_text("")
    return path / "below"


def test_a_read_only_package_falls_back_to_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(subject, "SOURCES", unwritable(tmp_path / "package"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder().parent == tmp_path / "cache"


def test_a_read_only_home_falls_back_to_a_private_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(subject, "SOURCES", unwritable(tmp_path / "package"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(unwritable(tmp_path / "home")))
    monkeypatch.setattr(subject.tempfile, "gettempdir", lambda: str(tmp_path))
    private = cache_folder().parent
    assert private.parent == tmp_path
    assert private.stat().st_mode & 0o777 == 0o700
    # Others could have put machine code there.
    private.chmod(0o777)
    cache_folder.cache_clear()
    assert cache_folder() is None


def test_where_nothing_can_be_written_loops_still_compile(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(unwritable(tmp_path / "file")))
    assert cache_folder() is None

    def doubled(x):
        return x + x

    np.testing.assert_array_equal(compiled(doubled)(np.ones(3)), np.full(3, 2))
