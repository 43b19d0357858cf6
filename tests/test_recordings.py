"""Annotated long recordings: from a list or an ELAN file to training samples, a model, a report."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_stores import moving_store, without_processes, write_store
from making_videos import Video, moving_texture, write_video
from memory_video import InMemoryVideo
from stresnet.cli import app
from stresnet.data.annotations.annotation import LabelledSegment
from stresnet.data.annotations.elan import to_elan
from stresnet.data.annotations.segments import Length
from stresnet.data.annotations.segments import write_list as write_segments
from stresnet.data.loading.chunks import Cut, frames_in, segment_of
from stresnet.data.loading.sampling import HALF, training_centres, valid_centres
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.splits.annotated import Recordings, background_items, split_recordings
from stresnet.data.splits.checks import check
from stresnet.data.splits.csv_list import read_csv_list
from stresnet.data.splits.open import holds_recordings, open_dataset
from stresnet.data.splits.split import Split, VideoItem
from stresnet.data.store.format import Origin
from stresnet.data.store.location import store_path
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.fully_convolutional import VideoScores
from stresnet.files import require_writable
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model import STResNet, load_model
from stresnet.prediction import recogniser
from stresnet.prediction.result import Timeline, TimelineSettings
from stresnet.timelines import evaluate as evaluating
from stresnet.timelines import fit as fitting
from stresnet.timelines.evaluate import DEFAULTS, FITTED, ScoredRecording, evaluate_timelines
from stresnet.timelines.fit import fit_settings, mean_f1
from stresnet.timelines.measures import Judged, Span
from stresnet.timelines.report import worst_places, write_timeline_report
from stresnet.training.choice import keep_back
from stresnet.training.recipes import QUICK
from stresnet.training.run import plan, train
from stresnet.training.runtime import Execution

FPS = 8
# Seconds of moving right, still, left, still, right: what people mark, and what they do not.
PARTS = ((2, 3), (0, 2), (-2, 3), (0, 2), (2, 2))
MARKED = [(0.0, 3.0, "right", None), (5.0, 8.0, "left", None), (10.0, 12.0, "right", None)]
SECONDS = 12


def recording(path: Path, seed: int) -> Path:
    pieces = [
        moving_texture(FPS * seconds, 48, 64, step=(step, 0), seed=10 * seed + number)
        for number, (step, seconds) in enumerate(PARTS)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, np.concatenate(pieces), fps=FPS)


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings to train on and one to test, each with its ELAN file."""
    root = tmp_path_factory.mktemp("recordings")
    for number, part in enumerate(("train", "train", "test")):
        video = recording(root / part / f"day{number}.mp4", number)
        video.with_suffix(".eaf").write_text(to_elan(MARKED, video), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def prepared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the two recordings to train on; to be copied by who changes it."""
    items = open_dataset(folder, recordings=Recordings()).train
    ensure_prepared(items, store := tmp_path_factory.mktemp("store"), workers=1)
    return store


def write_list(path: Path, rows: list[tuple[object, ...]], *more: str) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "start", "end", *more), *rows])
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def spans(items: tuple[VideoItem, ...]) -> list[tuple[str, tuple[float, float] | None]]:
    return [(item.label, item.span) for item in items]


# --------------------------------------------------------------------------------------------
# Lists and splits
# --------------------------------------------------------------------------------------------


def test_a_folder_of_elan_files_is_a_data_set(folder: Path) -> None:
    assert holds_recordings(folder)
    split = open_dataset(folder, recordings=Recordings())
    assert split.class_names == ("left", "right") and split.of_recordings
    assert {item.name for item in split.test} == {"test/day2.mp4"}
    assert spans(split.test) == [("right", (0, 3)), ("left", (5, 8)), ("right", (10, 12))]
    assert len(split.train) == 6
    assert check(split) == ()


def test_the_background_is_the_time_that_nobody_marked(folder: Path) -> None:
    split = open_dataset(folder, recordings=Recordings(background="still"))
    assert split.class_names == ("left", "right", "still")
    gaps = [item.span for item in split.train if item.label == "still"]
    assert gaps == [(3, 5), (8, 10), (3, 5), (8, 10)]  # as many as the most frequent class has
    assert all(item.label != "still" for item in split.test)
    with pytest.raises(UsageError, match="no annotated recordings"):
        clips = write_list(folder / "clips.csv", [("train/day0.mp4", "a", "", "")])
        open_dataset(clips, recordings=Recordings(background="still"))


def test_those_who_cannot_use_segments_are_told(folder: Path) -> None:
    with pytest.raises(DatasetError, match="segments of long recordings, which cannot be used"):
        open_dataset(folder)


def test_a_list_with_start_and_end(folder: Path) -> None:
    rows = [
        ("train/day0.mp4", "right", "0", "0:00:03", 1),
        ("train/day0.mp4", "left", "5,0", "8", 1),
        ("train/day1.mp4", "left", "5", "8", 2),
        ("train/day1.mp4", "right", "0", "3", 2),
    ]
    path = write_list(folder / "list.csv", rows, "fold")
    assert holds_recordings(path)
    split = open_dataset(path, fold=2, recordings=Recordings())
    assert spans(split.train) == [("right", (0, 3)), ("left", (5, 8))]
    assert {item.name for item in split.test} == {"train/day1.mp4"}


def test_a_drawn_split_keeps_recordings_whole(folder: Path) -> None:
    rows = [
        (f"train/day{n}.mp4", label, start, end)
        for n in range(2)
        for start, end, label, _ in MARKED
    ]
    split = open_dataset(write_list(folder / "drawn.csv", rows), recordings=Recordings())
    trained, tested = ({item.name for item in items} for items in (split.train, split.test))
    assert len(trained) == len(tested) == 1 and not trained & tested


@pytest.mark.parametrize(
    ("rows", "more", "match"),
    [
        ([("train/day0.mp4", "a", "3", "2")], (), "ends before it begins"),
        ([("train/day0.mp4", "a", "3", "")], (), "line 2: of start and end, one is empty"),
        ([("train/day0.mp4", "a", "soon", "4")], (), "line 2: 'soon' is not a time"),
        ([("train/day0.mp4", "a", "0", "90")], (), "frame numbers, perhaps"),
        (
            [("train/day0.mp4", "a", "0", "3"), ("train/day0.mp4", "b", "2", "5")],
            (),
            "different classes overlap",
        ),
        (
            [("train/day0.mp4", "a", "0", "3", "train"), ("train/day0.mp4", "b", "4", "5", "test")],
            ("split",),
            "one video are for training and for testing",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_computed(
    folder: Path, rows: list[tuple[object, ...]], more: tuple[str, ...], match: str
) -> None:
    path = write_list(folder / "wrong.csv", rows, *more)
    with pytest.raises(DatasetError, match=match):
        open_dataset(path, recordings=Recordings())


def test_overlap_decides_who_gets_the_time(folder: Path) -> None:
    rows = [("train/day0.mp4", "a", "0", "4"), ("train/day0.mp4", "b", "3", "5"),
            ("train/day1.mp4", "a", "0", "1"), ("train/day1.mp4", "b", "3", "5")]  # fmt: skip
    path = write_list(folder / "overlap.csv", rows)
    split = open_dataset(path, recordings=Recordings(overlap="later"))
    both = [item for item in split.train + split.test if item.name.endswith("day0.mp4")]
    assert spans(tuple(both)) == [("a", (0, 3)), ("b", (3, 5))]


def test_the_background_may_be_marked_too() -> None:
    """As long as the most frequent action, or all of the time: there is no need for more."""
    path = Path("long.mp4")
    spans = {(0.0, 2.0): "a", (4.0, 6.0): "other", (8.0, 10.0): "b"}
    items = [VideoItem(path, label, "long.mp4", span=span) for span, label in spans.items()]
    assert background_items(items, {path: Length(20.0, 25.0)}, "other") == []
    lengths = {path: Length(10.0, 25.0)}
    for given in (items, [*items, VideoItem(path, "a", "long.mp4", span=(2.0, 4.0))]):
        split = split_recordings(given, lengths, Recordings("other"), set(), 0)
        assert split.background == "other" and len(split.train) >= len(given)
    with pytest.raises(DatasetError, match="no unlabelled time is left"):
        split_recordings(items[:1], {path: Length(2.0, 25.0)}, Recordings("other"), set(), 0)


def test_much_background_is_thinned_and_comes_from_everywhere() -> None:
    path = Path("long.mp4")
    items = [VideoItem(path, "a", "long.mp4", span=(100.0 * n, 100.0 * n + 10)) for n in range(4)]
    found = background_items(items, {path: Length(1000.0, 25.0)}, "other")
    assert len(found) == 4  # of 4 gaps, one of them 690 s long
    total = sum(item.span[1] - item.span[0] for item in found if item.span)
    assert total > 600
    assert min(item.span[0] for item in found if item.span) == 10
    many = [VideoItem(path, "a", "long.mp4", span=(9.0 * n, 9.0 * n + 5)) for n in range(100)]
    many += [
        VideoItem(path, "b", "long.mp4", span=(900.0 + 9 * n, 905.0 + 9 * n)) for n in range(9)
    ]
    found = background_items(many, {path: Length(1000.0, 25.0)}, "other")
    assert 90 <= len(found) <= 100  # 109 gaps, and 100 segments of a
    spread = np.array([item.span[0] for item in found if item.span])
    assert spread.min() < 30 and spread.max() > 950


# --------------------------------------------------------------------------------------------
# Samples
# --------------------------------------------------------------------------------------------


def numbered(frames: int) -> InMemoryVideo:
    """Frame and flow field k have the value k."""
    values = np.arange(frames, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (frames, 4, 4, 3)).copy()
    fields = np.broadcast_to(values[:-1, None, None, None], (frames - 1, 2, 4, 4)).copy()
    return InMemoryVideo(images, fields)


@pytest.mark.parametrize(
    "span", [(0, 0), (0, 3), (2, 9), (20, 20), (20, 40), (90, 99), (97, 99), (0, 99)]
)
def test_chunks_are_centred_inside_their_segment_and_their_flow_is_real(
    span: tuple[int, int],
) -> None:
    first, last = span
    part = segment_of(numbered(100), first, last)
    low, high = valid_centres(part.num_frames)
    shown = [int(part.frames(np.array([centre]))[0, 0, 0, 0]) for centre in (low, high)]
    assert first <= shown[0] <= shown[1] <= last
    if first >= HALF and last < 100 - HALF:
        assert shown == [first, last]  # every frame can be the centre, those at the ends too
        around = part.flow(np.arange(low - HALF, low + HALF))[:, 0, 0, 0]
        np.testing.assert_array_equal(around, np.arange(first - HALF, first + HALF))
    rng = np.random.default_rng(0)
    for _ in range(20):
        centres = training_centres(part.num_frames, 5, (1, 15), rng)
        values = part.frames(centres)[:, 0, 0, 0]
        assert first <= values.min() and values.max() <= last


def test_a_cut_of_one_frame_has_no_motion() -> None:
    assert (Cut(numbered(30), 4, 4).flow(np.zeros(FLOW_FIELDS, np.int64)) == 128).all()


def test_frames_in_a_stretch_of_time() -> None:
    times = np.arange(50) / 25
    assert frames_in(times, 0.4, 0.8) == (10, 19)
    assert frames_in(times, 0.401, 0.402) == (11, 11)  # between two frames: the next one
    assert frames_in(times, 1.9, 9.0) == (48, 49)


def test_a_recording_is_prepared_once_and_samples_know_their_frames(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("train/day0.mp4", "train/day1.mp4"):
        moving_store(tmp_path, name, frames=300)
    job = plan(folder, recipe="quick", weights="none", motion_weights=None, fold=None, lists=None,
               store=tmp_path, background="still")  # fmt: skip
    dataset = job.samples(job.phases[0], job.split.train)
    places = {(item.place.name, item.label, item.frames) for item in dataset.items}
    assert ("day0.mp4.zip", 1, (0, 74)) in places  # right, 0 to 3 s at 25 frames a second
    assert ("day1.mp4.zip", 2, (75, 124)) in places  # still, 3 to 5 s
    assert Counter(item.label for item in dataset.items) == {0: 2, 1: 4, 2: 4}


# --------------------------------------------------------------------------------------------
# Fitting, evaluation, the report
# --------------------------------------------------------------------------------------------


def scored(
    scores: np.ndarray, truth: tuple[Span, ...], settings: TimelineSettings
) -> ScoredRecording:
    """Windows of 2 s every 0.5 s; classes a, b, other."""
    starts = 0.5 * np.arange(len(scores)) - 1
    values = np.asarray(scores, np.float32)
    made = Timeline("r", ("a", "b", "other"), starts, starts + 2, values, values,
                    float(starts[-1] + 2), (), settings)  # fmt: skip
    return ScoredRecording("r", made, truth, "r", stored=None)  # type: ignore[arg-type]


def test_fitting_finds_the_bias_that_brings_the_actions_back() -> None:
    plain = TimelineSettings(background="other")
    scores = np.tile([0.0, 0.0, 2.0], (80, 1))
    scores[20:40, 0] = 1.5  # a is there, and the background wins all the same
    recordings = [scored(scores, (Span(10, 20, "a"),), plain)]
    assert mean_f1(recordings, plain) == 0
    fitted = fit_settings(recordings, plain)
    assert fitted.background_bias < 0 and fitted.background == "other"
    assert mean_f1(recordings, fitted) == 1


def test_fitting_finds_a_threshold_where_there_is_no_background() -> None:
    plain = TimelineSettings()
    scores = np.tile([0.4, 0.0, 0.0], (80, 1))  # not sure of anything
    scores[20:40, 1] = 6
    recordings = [scored(scores, (Span(9.75, 19.75, "b"),), plain)]
    fitted = fit_settings(recordings, plain)
    assert fitted.threshold > 0
    assert mean_f1(recordings, fitted) == 1 > mean_f1(recordings, plain)


def test_fitting_keeps_what_is_as_good() -> None:
    plain = TimelineSettings(background="other")
    scores = np.tile([0.0, 0.0, 9.0], (80, 1))
    scores[20:60] = [9.0, 0.0, 0.0]
    assert fit_settings([scored(scores, (Span(10, 30, "a"),), plain)], plain) == plain


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"threshold": -0.1}, {"background_bias": 1e9}]
)
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="threshold"):
        TimelineSettings(**wrong)  # type: ignore[arg-type]


@pytest.fixture
def knows_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a trained network: left, right or still by the mean horizontal motion."""

    def score(net, video, **_):  # type: ignore[no-untyped-def]
        fields = video.flow(np.arange(max(video.num_frames - 1, 1)))
        x = fields[:, 0].astype(np.float32).mean() - 128
        scores = np.array([-x, x, 6 - abs(x)], np.float32)
        return VideoScores(scores, scores)

    monkeypatch.setattr(recogniser, "score_video", score)


def net_for(settings: dict[str, object]) -> STResNet:
    torch.manual_seed(0)
    net = STResNet(3, "tiny", input_size=32)
    net.class_names = ("left", "right", "still")
    net.timeline = settings
    return net.eval()


def test_the_folder_of_the_annotations_says_what_is_for_testing(
    folder: Path, tmp_path: Path
) -> None:
    """At any depth, in any spelling, and though ELAN names the place of another copy."""
    for name, part in (("day0", "train/kita"), ("day2", "test/kita")):
        place = tmp_path / "mine" / part
        place.mkdir(parents=True)
        video = next(folder.rglob(f"{name}.mp4"))
        (place / f"{name}.EAF").write_text(to_elan(MARKED, video), encoding="utf-8")
        (place / f"._{name}.eaf").write_bytes(b"a Mac's notes")
    require_writable(tmp_path / "mine" / "found")
    (tmp_path / "mine" / "found" / "day9.eaf").write_text("an answer")
    split = open_dataset(tmp_path / "mine", recordings=Recordings())
    assert {item.path.name for item in split.train} == {"day0.mp4"}
    assert {item.path.name for item in split.test} == {"day2.mp4"}


def test_a_list_that_spells_one_video_in_two_ways(folder: Path, tmp_path: Path) -> None:
    day0 = shutil.copy(folder / "train" / "day0.mp4", tmp_path)
    rows: list[tuple[object, ...]] = [("day0.mp4", "a", 1, 3), (day0, "b", 2, 4)]
    with pytest.raises(DatasetError, match="different classes overlap"):
        open_dataset(write_list(tmp_path / "two.csv", rows), recordings=Recordings())
    sources = [(*row, source) for row, source in zip(rows, "xy", strict=True)]
    path = write_list(tmp_path / "sources.csv", sources, "source")
    with pytest.raises(DatasetError, match="is listed as of source x, and of y"):
        open_dataset(path, recordings=Recordings())


def test_a_written_list_keeps_names_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    listed = tmp_path / "written.csv"
    segments = [LabelledSegment(tmp_path / "@home.mp4", 1, 3, label) for label in ("-none", "=x")]
    write_segments(segments, listed)
    assert "'@home.mp4,'-none" in listed.read_text()
    rows = [(row["path"], row["label"]) for row in read_csv_list(listed)]
    assert rows == [("@home.mp4", "-none"), ("@home.mp4", "=x")]


def test_evaluation_of_kept_out_recordings(
    folder: Path, tmp_path: Path, knows_motion: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = net_for({"window": 1.0, "stride": 0.25, "smooth": 0.0, "min_duration": 1.0,
                   "background": "still"})  # fmt: skip
    prepared_on: list[object] = []

    def ensure(*videos: object, **options: object) -> object:
        prepared_on.append(options["device"])
        return ensure_prepared(*videos, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluating, "ensure_prepared", ensure)
    found = evaluate_timelines(net, folder, store=tmp_path / "store", workers=1, device="cpu")
    assert prepared_on == ["cpu"]
    (judged,) = found.judged
    assert [span.label for span in judged.found] == ["right", "left", "right"]
    assert found.rows[FITTED][1]["F1@50"].value == 1
    assert found.rows[FITTED][1]["edit"].value == 1
    assert found.rows[FITTED][1]["onset"].value <= 0.5
    assert DEFAULTS in found.rows
    summary = write_timeline_report(found, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 and "true: right, 0:00:00.0 to 0:00:03.0" in page
    assert "data:video/mp4;base64," in page  # a border is never exact to the frame
    kept = json.loads((tmp_path / "report" / "report.json").read_text())
    assert kept == json.loads(json.dumps(summary))
    assert kept["recordings"][0]["true"][0] == {
        "start": 0.0, "end": 3.0, "label": "right", "score": 1.0
    }  # fmt: skip


def test_a_wrong_stretch_without_a_picture_has_no_video(tmp_path: Path) -> None:
    """A recording that pauses from second 1 to 60."""
    video = Video(moving_texture(4, 64, 80), np.array([0.0, 1.0, 60.0, 61.0]))
    flow = np.full((3, 2, 64, 80), 128, np.uint8)
    stored = write_store(tmp_path / "a.zip", video, flow, origin=Origin("a.mp4", "0" * 64))
    judged = Judged("a.mp4", (Span(20, 40, "left"),), (), 61.5, "a.mp4")
    places = SimpleNamespace(judged=[judged], scored=[SimpleNamespace(stored=stored)])
    (place,) = worst_places(places)  # type: ignore[arg-type]
    assert (place["start"], place["end"], place["video"]) == (20, 40, None)


def test_a_damaged_recording_costs_no_other(
    folder: Path, prepared: Path, tmp_path: Path, knows_motion: None
) -> None:
    net = net_for({"window": 1.0, "stride": 0.5})
    both = [(f"train/day{n}.mp4", label, *times, "test") for n in range(2)
            for *times, label, _ in MARKED]  # fmt: skip
    path = write_list(
        folder / "both.csv", [*both, ("test/day2.mp4", "left", 5, 8, "train")], "split"
    )
    store = shutil.copytree(prepared, tmp_path / "store")
    damaged = store_path(store, "train/day0.mp4")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    # As large and as old as before would be needed to go unnoticed; here it is prepared again.
    found = evaluate_timelines(net, path, store=store, workers=1)
    assert len(found.judged) == 2
    assert damaged.read_bytes() != bytes(content)


MOTION = replace(
    QUICK.phase("motion"), batch=2, norm_group=2, schedule=((1e-3, 1),), unit="iterations"
)
TOY = replace(QUICK, depth="tiny", input_size=32, phases=(MOTION,))


def test_from_elan_to_a_model_to_elan(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    with caplog.at_level(logging.INFO, "stresnet"):
        model = train(folder, tmp_path / "run", recipe=TOY, phases=("motion",), background="still",
                      store=store, execution=Execution("cpu", "fp32", 0))  # fmt: skip
    assert "timelines: F1" in caplog.text
    settings = load_model(model).timeline
    assert settings["background"] == "still"
    rows = rows_of(tmp_path / "run" / "split.csv")
    assert {row["start"] for row in rows if row["label"] == "left"} == {"5.0"}
    # The same command resumes; another background is another run.
    with pytest.raises(UsageError, match="holds a run with other"):
        train(folder, tmp_path / "run", recipe=TOY, phases=("motion",), store=store,
              execution=Execution("cpu", "fp32", 0))  # fmt: skip
    video = folder / "test" / "day2.mp4"
    run = CliRunner().invoke(
        app,
        ["predict", str(model), str(video), "--timeline", "--precision", "fp32", "--fast",
         "--elan", str(tmp_path / "out.eaf"), "--boris", str(tmp_path / "out.tsv"),
         "--label-studio", str(tmp_path / "out.json"), "--jsonl"],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout.strip().splitlines()[-1])
    assert answer["settings"] == settings  # as fitted in training
    assert all((tmp_path / f"out.{ending}").is_file() for ending in ("eaf", "tsv", "json"))
    if answer["segments"]:
        out = tmp_path / "again.csv"
        run = CliRunner().invoke(app, ["annotations", str(tmp_path / "out.eaf"), "--out", str(out)])
        assert run.exit_code == 0, run.output
        assert [row["label"] for row in rows_of(out)] == [s["label"] for s in answer["segments"]]


def test_timelines_are_fitted_on_recordings_that_are_kept_back(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def score(recogniser: object, items: list[VideoItem], *args: Any, **options: Any) -> Any:
        looked_at.extend(item.name for item in items)
        return evaluating.score_recordings(recogniser, items, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(fitting, "score_recordings", score)
    with caplog.at_level(logging.INFO, "stresnet"):
        model = train(folder, tmp_path / "run", recipe=TOY, phases=("motion",), background="still",
                      store=tmp_path / "store", validate=0.4,
                      execution=Execution("cpu", "fp32", 0))  # fmt: skip
    rows = rows_of(tmp_path / "run" / "split.csv")
    kept_back = {row["name"] for row in rows if row["split"] == "validation"}
    assert len(kept_back) == 1
    assert set(looked_at) == kept_back
    assert not kept_back & {row["name"] for row in rows if row["split"] == "train"}
    assert load_model(model).timeline["background"] == "still"
    said = next(line for line in caplog.messages if line.startswith("recommended: "))
    assert said.startswith(f"recommended: {model}; two_stream F1 0.")
    assert said.endswith(" of 1 recordings kept back from training")
    split = open_dataset(folder, recordings=Recordings("still"))
    single = tuple(item for item in split.train if item.name in kept_back)
    with pytest.raises(UsageError, match="nothing can be kept back"):
        keep_back(replace(split, train=single), 0.4, seed=0)


def test_the_verb_evaluate_judges_recordings_as_timelines(folder: Path, tmp_path: Path) -> None:
    net = net_for({"background": "still"})
    net.save_pretrained(tmp_path / "model")
    places = {"--out": tmp_path / "report", "--store": tmp_path / "store"}
    options = [text for name, place in places.items() for text in (name, str(place))]
    arguments = ["evaluate", str(tmp_path / "model"), str(folder), *options, "--workers", "1"]
    run = CliRunner().invoke(app, [*arguments, "--calibrate"])
    assert run.exit_code == 2 and "judged as timelines" in run.output
    run = CliRunner().invoke(app, [*arguments, "--protocols", "quick"])
    assert run.exit_code == 0, run.output
    assert "F1@50" in run.output
    assert (tmp_path / "report" / "index.html").is_file()


def test_recordings_that_are_known_only_as_stores(tmp_path: Path) -> None:
    """The videos are elsewhere: no length to check by, and no gap after the last segment."""
    rows = [("gone.mp4", "a", 1, 2, "train"), ("gone.mp4", "b", 4, 5, "train")]
    path = write_list(tmp_path / "list.csv", rows, "split")
    split: Split = open_dataset(path, recordings=Recordings(background="other"))
    assert spans(split.train) == [("a", (1, 2)), ("other", (2, 4)), ("b", (4, 5))]


def test_of_long_recordings_only_the_beginning_is_looked_at_to_fit(
    folder: Path, prepared: Path
) -> None:
    items = [item for item in open_dataset(folder, recordings=Recordings()).train if item.span]
    net = recogniser.Recogniser(net_for({}))
    scored = evaluating.score_recordings(
        net, items, prepared, TimelineSettings(window=1.0), failures={}, seconds=6.0
    )
    assert len(scored) == 2
    for each in scored:  # its first segment begins at once
        assert each.timeline.duration == 6.0
        assert each.timeline.ends.max() == 6.0
        assert [(span.start, span.end, span.label) for span in each.truth] == [
            (0.0, 3.0, "right"),
            (5.0, 6.0, "left"),
        ]
