"""Output that cannot be written: one plain sentence and exit code 3, whatever is written where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stresnet.cli import app
from stresnet.files import atomic_write

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs Linux")
SCORES = "name,truth,a,b\nv1,a,0.7,0.3\nv2,b,0.2,0.8\n"


def stresnet(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stresnet", *words]
    return subprocess.run(command, text=True, timeout=60, check=False, **settings)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def scores(tmp_path: Path) -> str:
    path = tmp_path / "s.csv"
    path.write_text(SCORES, encoding="utf-8")
    return str(path)


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stdout is buffered, as usual, what could not be written is tried again at the end."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


def test_quiet_leaves_results_alone(scores: str, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["fuse", scores, "--out", str(tmp_path / "f.csv"), "-q"])
    assert (told.exit_code, told.stderr) == (0, "")


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("words", ["--version", "predict --help", "fuse"])
def test_a_full_disk_behind_stdout(words: str, scores: str) -> None:
    given = words.split() + ([scores, scores] if words == "fuse" else [])
    with FULL.open("w") as full:
        told = stresnet(*given, stdout=full, stderr=subprocess.PIPE)
    assert told.returncode == 3
    assert "output cannot be written: the disk is full. Fix:" in told.stderr
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("words", ["--version", "predict --help", "fuse"])
def test_a_reader_that_has_seen_enough(words: str, scores: str) -> None:
    """`| head`: the end is silent, and the exit code tells."""
    given = words.split() + ([scores, scores] if words == "fuse" else [])
    end, begin = os.pipe()
    os.close(end)
    told = stresnet(*given, stdout=begin, stderr=subprocess.PIPE)
    os.close(begin)
    assert (told.returncode, told.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["0", "1", "0,1", "1,2"])
def test_closed_streams(scores: str, closed: str) -> None:
    """`>&-`: results that would go to a closed stdout are lost, which is said."""
    program = "import os, sys; [os.close(int(n)) for n in sys.argv.pop(1).split(',')]; "
    program += "os.execv(sys.executable, [sys.executable, '-m', 'stresnet', *sys.argv[1:]])"
    told = subprocess.run(
        [sys.executable, "-c", program, closed, "fuse", scores, scores],
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == (3 if "1" in closed else 0)
    assert ("output cannot be written: it is closed" in told.stderr) == (closed in ("1", "0,1"))
    assert ("fused" in told.stdout) == (closed == "0")


def test_a_current_directory_that_is_gone(scores: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    places = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    program = "import os, sys; os.rmdir(os.getcwd()); "
    program += "os.execv(sys.executable, [sys.executable, '-m', 'stresnet', *sys.argv[1:]])"
    told = subprocess.run(
        [sys.executable, "-c", program, "fuse", scores, scores],
        text=True, capture_output=True, timeout=60, check=False, cwd=gone,
        env={**os.environ, "PYTHONPATH": places},
    )  # fmt: skip
    assert told.returncode == 3
    assert "the current directory does not exist any more" in told.stderr


def test_messages_that_cannot_be_written_cost_no_result(scores: str, tmp_path: Path) -> None:
    out = tmp_path / "fused.csv"
    with FULL.open("w") as full:
        told = stresnet("fuse", scores, scores, "--out", str(out), stdout=-1, stderr=full)
    assert told.returncode == 0
    assert "fused" in told.stdout and out.exists()


@pytest.mark.parametrize("name", ["s.csv/x.csv", "folder", "n" * 300, "/proc/x.csv"])
def test_a_file_that_cannot_be_there_is_named(scores: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    out = str(tmp_path / name).removesuffix(".csv") + ".csv"
    told = stresnet("fuse", scores, scores, "--out", out, stdout=-1, stderr=-1)
    assert (told.returncode, len(told.stderr.splitlines())) == (3, 1)
    assert f"{out}: cannot be written (" in told.stderr


@pytest.mark.parametrize(
    "words",
    ["explain nosuch a.mp4", "evaluate nosuch marked.csv", "idt evaluate nosuch listed.csv"],
)
def test_a_folder_that_cannot_be_there_is_named_before_the_work(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("marked.csv").write_text("path,label,start,end\na.mp4,x,0,1\n")
    Path("listed.csv").write_text("path,label,split\na.mp4,x,train\nb.mp4,y,train\nc.mp4,x,test\n")
    told = CliRunner().invoke(app, [*words.split(), "--out", "file/out"])
    assert told.exit_code == 3, told.stderr
    assert "file/out: cannot be written (" in told.stderr


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from pathlib import Path; from stresnet.files import atomic_write\n"
        f"with atomic_write(Path({str(tmp_path / 'a')!r})) as partial:\n"
        "    partial.write_bytes(bytes(1000))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], text=True, stderr=-1, check=False)
    assert (
        "EnvironmentProblem" in told.stderr and "cannot be written (File too large)" in told.stderr
    )
    assert not list(tmp_path.iterdir())
    with atomic_write(tmp_path / "a") as partial:
        partial.write_text("fine")
