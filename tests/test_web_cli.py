"""`stresnet serve`: what can go wrong before there is a page."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stresnet.cli import app

run = CliRunner().invoke


def test_the_port_is_taken(tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run(app, ["serve", str(tmp_path), "--port", str(port)])
    assert said.exit_code == 3 and "choose another with --port" in said.output


def test_the_address_is_not_this_machines(tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    said = run(app, ["serve", str(tmp_path), "--host", "203.0.113.1"])
    assert said.exit_code == 3 and "choose another --host" in said.output


def test_a_model_that_is_none_is_told_before_there_is_a_page(tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    said = run(app, ["serve", str(tmp_path), "--port", "0"])
    assert said.exit_code == 2 and str(tmp_path) in said.output.replace("\n", "")
    assert "open http" not in said.output


def test_without_the_extra_its_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    said = run(app, ["serve", str(tmp_path)])
    assert said.exit_code == 3 and "pip install 'stresnet[web]'" in said.output


def test_the_server_needs_no_torch_and_help_no_web_framework():
    script = (
        "import sys, stresnet.cli, stresnet.web.queue_service; "
        "assert not {'torch', 'av', 'fastapi', 'uvicorn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
