"""The page: what it shows, and that it loads and runs nothing."""

from __future__ import annotations

import html.parser
from dataclasses import replace
from pathlib import Path

import numpy as np

from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.evaluation.comparison import Comparison, Entry, EvaluationResult
from stresnet.evaluation.protocols import PAPER
from stresnet.evaluation.report import render, write_report
from stresnet.evaluation.report.pictures import strip
from stresnet.evaluation.report.summary import summarise
from tiny_data import CLASSES, toy_store


class Page(html.parser.HTMLParser):
    """Collects what a page would load, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href", "poster")]


def made(classes: list[str], videos: int, store: Path) -> Comparison:
    """A comparison of scores that were drawn; videos are called CLASS/0, CLASS/1, ..."""
    rng = np.random.default_rng(0)
    truth = np.arange(videos) % len(classes)
    one_hot = np.eye(len(classes), dtype=np.float32)[truth]
    scores = {
        row: 2 * one_hot + rng.normal(size=one_hot.shape).astype(np.float32)
        for row in ("appearance", "motion", "fused")
    }
    names = tuple(f"{classes[k]}/{n // len(classes)}" for n, k in enumerate(truth))
    result = EvaluationResult(tuple(classes), names, truth, scores, seconds=np.ones(videos))
    return Comparison(
        "data", (None,), (Entry("star", "ST-ResNet*", PAPER, (result,)),), None, store
    )


def page_of(comparison: Comparison) -> str:
    return render(summarise(comparison), comparison.store)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    hostile = ["<img src=x onerror=alert(1)>", "</title><script>alert(1)</script>"]
    page = page_of(made(hostile, 12, tmp_path))
    read = Page(page)
    assert not read.sources
    assert not {"script", "img", "iframe", "link"} & set(read.tags)
    assert "no longer there" in page


def test_pictures_are_inside(tmp_path: Path) -> None:
    toy_store(tmp_path, videos=4)
    read = Page(page_of(made([*CLASSES], 8, tmp_path)))
    assert any(source.startswith("data:image/jpeg;base64,") for source in read.sources)
    assert all(source.startswith("data:") for source in read.sources)
    assert "script" not in read.tags


def test_101_classes_are_all_named_beside_the_paper_s_numbers(tmp_path: Path) -> None:
    ucf = ["ApplyEyeMakeup", "HandstandPushups", "YoYo", *(f"class {n}" for n in range(98))]
    said = write_report(made(ucf, 404, tmp_path), tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert all(page.count(f">{name} <") + page.count(f">{name}<") >= 3 for name in ucf)
    assert said["table"][2]["paper"] == 93.46
    assert said["table"][0]["top5"]["value"] > said["table"][0]["top1"]["value"]
    assert "93.46" in page
    assert "improved dense trajectories (IDT) 86.4" in page
    assert "93.46" not in page_of(made([f"class {n}" for n in range(101)], 404, tmp_path))


def test_a_network_without_errors_has_a_page_too(tmp_path: Path) -> None:
    comparison = made(["a", "b"], 6, tmp_path)
    (result,) = comparison.main.results
    right = 9 * np.eye(2, dtype=np.float32)[result.truth]
    sure = replace(result, scores=dict.fromkeys(result.scores, right))
    page = page_of(replace(comparison, entries=(replace(comparison.main, results=(sure,)),)))
    assert "100.0 % of 6 videos" in page
    assert "Most confused pairs" not in page


def test_a_strip_has_a_picture_of_each_moment(tmp_path: Path) -> None:
    toy_store(tmp_path, videos=1)
    shown = strip(StoredVideo(store_path(tmp_path, "falls/0")), 3)
    assert len(set(shown.frames)) == len(set(shown.flows)) == 3
