"""The whole of it, as a visitor meets it: the command, a real model and clips, a real browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

from driving_chromium import CHROMIUM, DESKTOP, PHONE, Chromium
from faking_worker import wait_for
from making_videos import moving_texture, write_video

MODEL = "fight"
CLIP = Path(str(files("stresnet") / "assets" / "clips" / "noFight" / "nofi018.mp4"))
DONE = "document.getElementById('result')?.hidden === false"  # none while a page is loaded
LONG = 300.0  # seconds that a clip may take on a busy machine

pytestmark = pytest.mark.slow


@contextmanager
def serving(scratch: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`stresnet serve` at a free port: its address and its process."""
    command = [sys.executable, "-m", "stresnet", "serve", MODEL, "--port", "0"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    try:
        first = process.stderr.readline()
        found = re.match(r"open (http://127\.0\.0\.1:\d+)/", first)
        assert found, first
        yield found[1], process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        process.stderr.close()


def asked(address: str, body: bytes | None = None) -> dict:
    with urlopen(Request(address, body), timeout=60) as answer:
        return json.load(answer)


def ended(server: str, job: dict) -> dict:
    while job["state"] not in ("done", "failed"):
        job = asked(f"{server}/api/jobs/{job['id']}?after={job['version']}")
    return job


def worker_of(process: subprocess.Popen[str]) -> int:
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    return next(int(pid) for path in children for pid in path.read_text().split())


@pytest.mark.parametrize(
    ("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_nothing_stays_however_the_server_ends(tmp_path, end, code):
    with serving(tmp_path) as (server, process):
        asked(f"{server}/api/examples/fi014.mp4", b"")
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(end)
        assert process.wait(30) == code
        wait_for(lambda: not list(tmp_path.iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
def test_the_worker_is_killed_and_the_server_stays(tmp_path):
    with serving(tmp_path) as (server, process):
        job = asked(f"{server}/api/jobs?name=a.mp4", CLIP.read_bytes())
        while job["state"] != "working":
            job = asked(f"{server}/api/jobs/{job['id']}?after={job['version']}")
        os.kill(worker_of(process), signal.SIGKILL)
        assert "killed by SIGKILL" in ended(server, job)["error"]["problem"]
        again = asked(f"{server}/api/jobs?name=a.mp4", CLIP.read_bytes())
        assert ended(server, again)["result"]["predictions"][0]["label"] == "noFight"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page(tmp_path):
    scratch, profile = tmp_path / "scratch", tmp_path / "profile"
    scratch.mkdir()
    profile.mkdir()
    not_a_video, long = tmp_path / "letter.mp4", tmp_path / "long.avi"
    not_a_video.write_text("Dear reader,")
    write_video(long, moving_texture(60, 64, 80), fps=5)
    with (
        serving(scratch, "--max-seconds", "10") as (server, _),
        Chromium(profile) as browser,
    ):
        browser.look(PHONE)
        browser.go(server)
        browser.wait("document.querySelectorAll('#examples button').length == 4")

        # By keyboard alone: an example, from its button to its scores.
        browser.ask("document.querySelector('#examples button').focus()")
        browser.press("Enter")
        browser.wait(DONE, LONG)
        assert browser.ask("document.activeElement.id") == "verdict"
        assert re.search(r"fight, \d+ %", browser.text(), re.IGNORECASE)
        browser.wait("document.getElementById('player').videoWidth > 0")
        heights = []
        for view in ("flow", "attention"):
            browser.ask(f"document.querySelector('[value={view}]').click()")
            browser.wait(f"document.getElementById('player').src.endsWith('{view}.mp4')")
            browser.wait("document.getElementById('player').videoWidth > 0")
            heights.append(browser.ask("document.getElementById('player').videoHeight"))
        assert heights[0] == 128 < heights[1]  # attention has lanes below

        # The timeline: a segment's button goes to its start, the slider by arrow keys.
        browser.ask("document.getElementById('player').pause()")
        browser.ask("document.getElementById('player').currentTime = 1")
        browser.wait("document.getElementById('seek').value > 0.9")
        browser.ask("document.querySelector('#segments button').focus()")
        browser.press("Enter")
        browser.wait("document.getElementById('player').currentTime < 0.1")
        browser.ask("document.getElementById('seek').focus()")
        browser.press("ArrowRight")
        browser.wait("document.getElementById('player').currentTime > 0")

        # It fits, at both widths, light and dark.
        for size in (PHONE, DESKTOP):
            for dark in (False, True):
                browser.look(size, dark=dark)
                width = browser.ask("document.documentElement.scrollWidth")
                assert width <= size[0]
                ground = browser.ask("getComputedStyle(document.body).backgroundColor")
                assert (ground == "rgb(255, 255, 255)") is not dark

        # Everything that can be used has a name.
        unnamed = browser.ask(
            "[...document.querySelectorAll('button, a, input, video')].filter(e => "
            "e.checkVisibility() && !(e.innerText?.trim() || e.ariaLabel || e.labels?.length"
            ")).map(e => e.outerHTML).join()"
        )
        assert not unnamed

        # A page that is loaded again goes on where it was; another clip forgets the last one.
        browser.ask("window.isOld = true; location.reload()")
        browser.wait(f"!window.isOld && {DONE}", LONG)
        browser.ask("document.getElementById('again').click()")
        wait_for(lambda: not [*next(scratch.iterdir()).iterdir()])

        # What cannot be worked on gets a plain sentence.
        browser.choose_file("#file", not_a_video)
        browser.wait("!document.getElementById('problem').hidden")
        assert "letter.mp4: not a video" in browser.text()
        browser.choose_file("#file", long)
        browser.wait("document.getElementById('problem').innerText.includes('more than the 10')")

        # Recorded from a camera, which here is the browser's test picture.
        browser.ask("document.getElementById('camera-open').click()")
        browser.wait("document.getElementById('camera-view').videoWidth > 0")
        browser.ask("document.getElementById('camera-record').click()")
        browser.wait("document.getElementById('camera-clock').innerText.includes(' 9 seconds')")
        browser.ask("document.getElementById('camera-record').click()")
        browser.wait(DONE, LONG)

        # Cancelled, and the page is ready for the next.
        browser.choose_file("#file", CLIP)
        browser.wait("!document.getElementById('work').hidden")
        browser.ask("document.getElementById('cancel').click()")
        browser.wait("!document.getElementById('choose').hidden")

        assert not browser.problems
        elsewhere = [a for a in browser.addresses if not a.startswith((server, "data:", "about:"))]
        assert not [a for a in elsewhere if not a.startswith(f"blob:{server}")]
