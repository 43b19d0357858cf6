"""The demo's page, and the model and clips that ship with the package."""

from __future__ import annotations

import html.parser
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from stresnet.demonstration import DemoClip, demo, write_page
from stresnet.evaluation.report.pictures import Strip
from stresnet.model import load_model
from stresnet.prediction.recognise import predict
from stresnet.prediction.result import ClassScore, Prediction
from stresnet.progress import Progress

HOSTILE = "<img src=x onerror=alert(1)>.mp4"


def clip(name: str, truth: str) -> DemoClip:
    scores = (ClassScore("fight", 0.8, 0.7, 0.9), ClassScore("noFight", 0.2, 0.3, 0.1))
    prediction = Prediction(name, scores, duration=2.0, warnings=())
    return DemoClip(name, truth, prediction, Strip(("data:image/jpeg;base64,AA==",) * 5, ()))


class Links(html.parser.HTMLParser):
    """Collects what a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    write_page(page, [clip(HOSTILE, "fight"), clip("b.mp4", "noFight")], card="# <script>card")
    text = page.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.sources
    assert all(source.startswith("data:image/jpeg") for source in links.sources)
    assert "script" not in links.tags
    assert "1 of 2 clips recognised" in text
    assert "mistaken for: fight" in text


def test_a_shipped_clip_is_recognised_by_the_shipped_model() -> None:
    with as_file(files("stresnet") / "assets") as assets:
        net = load_model("fight")
        assert net.class_names == ("fight", "noFight")
        prediction = predict(net, assets / "clips" / "fight" / "fi070.mp4")
    assert prediction.label == "fight"


def test_what_ships_fits_into_a_file_on_pypi() -> None:
    with as_file(files("stresnet") / "assets") as assets:
        size = sum(path.stat().st_size for path in assets.rglob("*") if path.is_file())
    assert size < 98e6  # of 100 MB, and the code takes the rest


@pytest.mark.slow
def test_the_demo_scores_every_clip_and_writes_its_page(tmp_path: Path) -> None:
    seen: list[Progress] = []
    clips = demo(tmp_path, threads=2, on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(1, len(clips) + 1))
    assert len(clips) == 8
    assert {clip.truth for clip in clips} == {"fight", "noFight"}
    assert (tmp_path / "index.html").stat().st_size > 100_000
