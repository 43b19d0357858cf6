"""Photograph the pages that stresnet writes and serves, with clips that ship, in Chromium.

    python tools/pictures/screens.py PAGES  # report, explanation, page-desktop, page-phone (.webp)

PAGES is a folder for the pages; those that are in it are not made again. Takes some minutes on two
cores; needs Chromium and the extra `web`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from driving_chromium import DESKTOP, PHONE, Chromium  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
CLIPS = Path(str(files("stresnet") / "assets" / "clips"))
DONE = "document.getElementById('result')?.hidden === false"


def stresnet(pages: Path, words: str) -> None:
    """Run a verb in that folder, so that pages show short paths."""
    subprocess.run([sys.executable, "-m", "stresnet", *words.split()], cwd=pages, check=True)


def photograph(browser: Chromium, name: str, size: tuple[int, int], height: int) -> None:
    """Save the upper `height` px of the page that the browser shows."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        browser.screenshot(Path(file.name))
        page = Image.open(file.name).convert("RGB")
    page.crop((0, 0, size[0], min(height, page.height))).save(
        PICTURES / f"{name}.webp", quality=80, method=6
    )


def main(pages: Path) -> None:
    """Make the pages, then look at each."""
    if not (pages / "report" / "index.html").exists():
        shutil.copytree(CLIPS, pages / "clips", dirs_exist_ok=True)
        rows = [f"{clip.relative_to(pages)},{clip.parent.name},test"
                for clip in sorted(pages.glob("clips/*/*.mp4"))]  # fmt: skip
        table = "\n".join(["path,label,split", *rows, ""])
        (pages / "clips.csv").write_text(table, encoding="utf-8")
        stresnet(pages, "evaluate fight clips.csv --store store --out report")
    if not (pages / "explanation" / "index.html").exists():
        stresnet(pages, "explain fight clips/fight/fi070.mp4 --out explanation")

    serve = [sys.executable, "-m", "stresnet", "serve", "fight", "--port", "0"]
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(subprocess.Popen(serve, stderr=subprocess.PIPE, text=True))
        stack.callback(server.terminate)
        browser = stack.enter_context(Chromium(Path(profile)))
        address = re.search(r"http://\S+/", server.stderr.readline())[0]
        browser.send("Emulation.setScrollbarsHidden", hidden=True)
        for name in ("report", "explanation"):
            browser.look(DESKTOP)
            browser.go((pages / name / "index.html").absolute().as_uri())
            photograph(browser, name, DESKTOP, 1100)
        for name, size in (("page-desktop", DESKTOP), ("page-phone", PHONE)):
            browser.look(size)
            browser.go(address)
            browser.wait("document.querySelectorAll('#examples button').length == 4")
            browser.ask("document.querySelectorAll('#examples button')[1].click()")
            browser.wait(DONE, 300)
            browser.wait("document.getElementById('player').videoWidth > 0")
            photograph(browser, name, size, 1400)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
