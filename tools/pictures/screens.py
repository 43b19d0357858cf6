"""Photograph the pages that stresnet writes and serves, with clips that ship, in Chromium.

    python tools/pictures/screens.py        # report, explanation, page-desktop, page-phone (.webp)

Takes some minutes on two cores; needs Chromium and the extra `web`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from driving_chromium import DESKTOP, PHONE, Chromium  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
CLIPS = Path(str(files("stresnet") / "assets" / "clips"))
DONE = "document.getElementById('result')?.hidden === false"


def stresnet(*words: str | Path) -> None:
    """Run a verb."""
    subprocess.run([sys.executable, "-m", "stresnet", *map(str, words)], check=True)


def photograph(
    browser: Chromium, name: str, size: tuple[int, int], height: int, scratch: Path
) -> None:
    """Save the upper `height` px of the page that the browser shows."""
    browser.screenshot(scratch / "page.png")
    page = Image.open(scratch / "page.png").convert("RGB")
    page.crop((0, 0, size[0], min(height, page.height))).save(
        PICTURES / f"{name}.webp", quality=80, method=6
    )


def main() -> None:
    """Make the pages, then look at each."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shutil.copytree(CLIPS, scratch / "clips")
        rows = [f"{clip.relative_to(scratch)},{clip.parent.name},test"
                for clip in sorted(scratch.glob("clips/*/*.mp4"))]  # fmt: skip
        data = scratch / "clips.csv"
        data.write_text("\n".join(["path,label,split", *rows, ""]), encoding="utf-8")
        stresnet("evaluate", "fight", data, "--store", scratch / "store",
                 "--out", scratch / "report")  # fmt: skip
        stresnet(
            "explain", "fight", CLIPS / "fight" / "fi116.mp4", "--out", scratch / "explanation"
        )
        (scratch / "profile").mkdir()
        serve = [sys.executable, "-m", "stresnet", "serve", "fight", "--port", "0", "--fast"]
        with (
            subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server,
            Chromium(scratch / "profile") as browser,
        ):
            try:
                address = re.search(r"http://\S+/", server.stderr.readline())[0]
                for name in ("report", "explanation"):
                    browser.look(DESKTOP)
                    browser.go((scratch / name / "index.html").as_uri())
                    photograph(browser, name, DESKTOP, 1100, scratch)
                for name, size in (("page-desktop", DESKTOP), ("page-phone", PHONE)):
                    browser.look(size)
                    browser.go(address)
                    browser.wait("document.querySelectorAll('#examples button').length == 4")
                    browser.ask("document.querySelector('#examples button').click()")
                    browser.wait(DONE, 300)
                    browser.wait("document.getElementById('player').videoWidth > 0")
                    photograph(browser, name, size, 1400, scratch)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
