"""Shell completion: `stresnet --install-completion`, as typer gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stresnet.cli import app

FILES = {
    "bash": ".bash_completions/stresnet.sh",
    "zsh": ".zfunc/_stresnet",
    "fish": ".config/fish/completions/stresnet.fish",
}
ASKED = {
    "bash": {"COMP_WORDS": "stresnet do", "COMP_CWORD": "1"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "stresnet do"},
    "fish": {"_TYPER_COMPLETE_ARGS": "stresnet do", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


@pytest.fixture(params=FILES)
def shell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The shell that stresnet is called from, of a user without any settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (request.param, request.param))
    return request.param


def test_installed_in_the_users_own_shell(shell: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--install-completion"])
    assert done.exit_code == 0
    assert f"{shell} completion installed" in done.stdout
    assert "_STRESNET_COMPLETE" in (tmp_path / FILES[shell]).read_text()


def test_shown_to_be_installed_by_hand(shell: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--show-completion"])
    assert done.exit_code == 0
    assert f"complete_{shell}" in done.stdout
    assert not list(tmp_path.iterdir())


def test_verbs_are_completed(shell: str) -> None:
    asked = {"_STRESNET_COMPLETE": f"complete_{shell}", **ASKED[shell]}
    done = CliRunner().invoke(app, [], env=asked)
    assert "doctor" in done.stdout
    assert "evaluate" not in done.stdout


COMMAND = Path(sys.executable).with_name("stresnet")
IN_BASH = """
source <(stresnet --show-completion bash)
COMP_WORDS=(stresnet doctor --th) COMP_CWORD=2
_stresnet_completion stresnet
echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(
    shutil.which("bash") is None or not COMMAND.exists(), reason="no bash, or not installed"
)
def test_a_real_bash_completes_an_option() -> None:
    environment = {
        **os.environ,
        "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    done = subprocess.run(
        ["bash", "-c", IN_BASH], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["--thorough"]
