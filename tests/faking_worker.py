"""A worker without a network, which does what its clip says; and a service and app around it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest

import stresnet.web.queue_service as service_module
from stresnet.web.job import UPLOAD, Job, Limits
from stresnet.web.queue_service import Service

FAKE = """
import json, os, pathlib, signal, sys, time
def tell(**said): print(json.dumps(said), flush=True)
tell(ready={"classes": ["falls", "rises"]})
for line in sys.stdin:
    order = json.loads(line)
    folder = pathlib.Path(order["folder"])
    clip = (folder / "upload").read_text()
    tell(stage="Looking", progress=0.5)
    if clip == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif clip == "long":
        (folder / "scratch").write_text("half done")
        time.sleep(60)
    elif clip == "nonsense":
        print('["no", "object"]', flush=True)
    elif clip == "damaged":
        tell(error={"kind": "VideoError", "problem": "no video", "remedy": "send one"})
    else:
        for name in ("video.mp4", "result.json", "prepared.zip"):
            (folder / name).write_text(clip)
        tell(result={"said": clip})
"""
REFUSING = """
import json
error = {"kind": "WeightsError", "problem": "no model", "remedy": ""}
print(json.dumps({"error": error}))
"""


@contextmanager
def fake_service(
    monkeypatch: pytest.MonkeyPatch, *, script: str = FAKE, limits: Limits | None = None
) -> Iterator[Service]:
    """A service whose worker runs `script`."""
    command = [sys.executable, "-c", script]
    monkeypatch.setattr(service_module, "worker_command", lambda *args, **options: command)
    with Service(limits=limits) as service:
        yield service


def sent(service: Service, clip: str, client: str = "me") -> Job:
    """A job whose clip has come."""
    job = service.receive(client, f"{clip}.mp4")
    (job.folder / UPLOAD).write_text(clip)
    service.enqueue(job)
    return job


def ended(service: Service, job: Job) -> dict[str, Any]:
    """How the job stands when it has ended."""
    wait_for(lambda: job.state.ended)
    return asdict(service.describe(job))


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
