"""`stresnet predict`: sources, what goes to stdout, files, failures, cameras."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import stresnet
from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.cli.answers import clock
from stresnet.data.prepare.preparation import preparation
from stresnet.data.video.decode import Frame
from stresnet.errors import EnvironmentProblem, StresnetError
from stresnet.flow import FAST
from stresnet.model import STResNet, load_model
from stresnet.prediction import recognise
from stresnet.prediction.many import RecogniseOne, recognise_many


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a short and a long video, and one that is none."""
    folder = tmp_path_factory.mktemp("world")
    torch.manual_seed(0)
    net = STResNet(2, "tiny", input_size=32)
    net.save_pretrained(folder / "model", class_names=["calm", "[fight]"])
    videos = folder / "videos"
    (videos / "sub").mkdir(parents=True)
    write_video(videos / "sub" / "short.mp4", moving_texture(4, 64, 64), fps=4)
    write_video(videos / "long.mp4", moving_texture(14, 64, 64), fps=1)
    (videos / "broken.mp4").write_text("no video")
    return folder


def run(world: Path, *arguments: str | Path) -> Result:
    given = ["predict", str(world / "model"), *map(str, arguments), "--threads", "1", "--fast"]
    return CliRunner().invoke(app, given)


def test_a_video_is_seen_by_the_protocol_quick_unless_another_is_named(world: Path) -> None:
    video = world / "videos" / "sub" / "short.mp4"
    model = world / "model"
    seen = {
        name: json.loads(run(world, video, "--json", *asked).stdout)[0]["predictions"][0]["score"]
        for name, asked in {
            "default": (),
            "paper": ("--protocol", "paper"),
        }.items()
    }
    for name, protocol in {"default": "quick", "paper": "paper"}.items():
        expected = stresnet.predict(model, video, flow=FAST, protocol=protocol)
        assert seen[name] == pytest.approx(expected.score, rel=1e-9)
    assert seen["default"] != seen["paper"]


def test_an_unknown_protocol_is_refused_once_and_not_by_each_video(
    world: Path, tmp_path: Path
) -> None:
    asked = ["predict", str(world / "model"), str(world / "videos"), "--protocol", "quickly"]
    for more in ([], ["--out", str(tmp_path / "out")]):
        told = CliRunner().invoke(app, asked + more)
        assert told.exit_code == 2
        assert told.stderr.count("unknown protocol 'quickly'") == 1
    assert not (tmp_path / "out").exists()


def test_short_and_long_videos_of_a_folder_and_one_that_is_broken(world: Path) -> None:
    """All in one array, in order; the broken one is named, and stops no other."""
    told = run(world, world / "videos", "--json", "--stride", "4", "--window", "4", "--top-k", "1")
    assert told.exit_code == 1
    assert "failed:" in told.stderr
    assert "broken.mp4" in told.stderr
    long, short = json.loads(told.stdout)
    assert long["source"] == str(world / "videos" / "long.mp4")
    assert short["source"] == str(world / "videos" / "sub" / "short.mp4")
    assert len(long["predictions"]) == len(short["predictions"]) == 1
    assert long["segments"][0]["start"] == 0
    assert long["segments"][-1]["end"] == pytest.approx(14, abs=0.1)
    assert "segments" not in short
    assert "1 of 3 videos are short and got no timeline, which --window is for" in told.stderr
    assert "long.mp4, seconds: 14 of 14" in told.stderr


def test_parts_in_a_folder_are_what_is_printed_and_resume(world: Path, tmp_path: Path) -> None:
    videos, out = world / "videos", tmp_path / "scores"
    asked = ["predict", str(world / "model"), str(videos), "--fast", "--stride", "4"]
    result = CliRunner().invoke(app, [*asked, "--out", str(out), "--workers", "1"])
    assert result.exit_code == 1  # the broken one
    assert "broken" in (out / "failures.csv").read_text()
    printed = CliRunner().invoke(app, [*asked, "--jsonl"]).stdout.splitlines()
    parts = {path.name: path.read_text() for path in out.glob("part-*.jsonl")}  # one a minute
    assert sorted("".join(parts.values()).splitlines()) == sorted(printed)
    again = CliRunner().invoke(app, [*asked, "--out", str(out), "--workers", "1"])
    assert "0 recognised, 2 already there, 1 failed" in again.stderr
    assert {path.name: path.read_text() for path in out.glob("part-*.jsonl")} == parts
    other = CliRunner().invoke(app, [*asked, "--out", str(out), "--top-k", "1"])
    assert other.exit_code == 2
    assert "other settings" in other.stderr
    trained_anew = tmp_path / "model"
    shutil.copytree(world / "model", trained_anew)
    asked[1] = str(trained_anew)
    assert CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "b")]).exit_code == 1
    net = load_model(trained_anew)
    torch.nn.init.ones_(net.motion.classifier.bias)
    net.save_pretrained(trained_anew)
    refused = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "b")])
    assert refused.exit_code == 2
    assert "of another network" in refused.stderr
    (tmp_path / "b" / "settings.json").unlink()
    unknown = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "b")])
    assert unknown.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nosuch"}, "no such model folder"),
        ({"settings": {"background": "sleep"}}, "sleep"),
        ({"precision": "fp16"}, "fp16"),
    ],
)
def test_what_every_video_would_fail_by_is_said_before_the_first(
    world: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    one = replace(RecogniseOne(str(world / "model"), device="cpu"), **changes)
    with pytest.raises(StresnetError, match=message):
        recognise_many(one, [world / "videos" / "long.mp4"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_for_people_and_for_programs(world: Path) -> None:
    short = world / "videos" / "sub" / "short.mp4"
    whole = run(world, short)
    assert whole.exit_code == 0, whole.stderr
    assert "[fight]" in whole.stdout
    assert whole.stdout.startswith(f"{short}   (cpu, ")  # in one piece, however wide the table is
    in_time = run(world, short, "--timeline")
    assert "0:00:00.0" in in_time.stdout
    assert "whole video:" in in_time.stdout
    rows = list(csv.DictReader(io.StringIO(run(world, short, "--csv").stdout)))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert {row["label"] for row in rows} == {"calm", "[fight]"}


def test_files_of_one_video_and_of_several(world: Path, tmp_path: Path) -> None:
    short, long = world / "videos" / "sub" / "short.mp4", world / "videos" / "long.mp4"
    told = run(world, short, "--srt", tmp_path / "a.srt", "--vtt", tmp_path / "a.vtt",
               "--annotate", tmp_path / "a.mp4")  # fmt: skip
    assert told.exit_code == 0, told.stderr
    assert "-->" in (tmp_path / "a.srt").read_text()
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT")
    assert (tmp_path / "a.mp4").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.srt", "a.vtt"]
    capital = run(world, short, "--srt", tmp_path / "B.SRT", "--vtt", tmp_path / "B.VTT")
    assert capital.exit_code == 0, capital.stderr
    assert (tmp_path / "B.SRT").read_text() == (tmp_path / "a.srt").read_text()
    assert (tmp_path / "B.VTT").read_text() == (tmp_path / "a.vtt").read_text()
    several = run(world, short, long, "--srt", tmp_path / "new", "--window", "4", "--stride", "9")
    assert several.exit_code == 0, several.stderr
    assert sorted(path.name for path in (tmp_path / "new").glob("*.srt")) == [
        "long.srt",
        "short.srt",
    ]


def test_annotations_are_not_overwritten(world: Path, tmp_path: Path) -> None:
    """In the layout of annotated recordings each video has its .eaf beside it."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    shutil.copy(world / "videos" / "long.mp4", recordings)
    (recordings / "long.eaf").write_text("by hand")
    for out in (recordings, recordings / "long.eaf"):
        refused = run(world, recordings / "long.mp4", "--elan", out)
        assert refused.exit_code == 2 and "somebody's annotations" in refused.stderr
    assert (recordings / "long.eaf").read_text() == "by hand"
    for _ in range(2):  # into a folder that it has made, once more
        told = run(world, recordings, "--elan", tmp_path / "found")
        assert told.exit_code == 0, told.stderr
    assert "ANNOTATION_DOCUMENT" in (tmp_path / "found" / "long.eaf").read_text()


def test_a_background_is_not_reported(world: Path) -> None:
    short = world / "videos" / "sub" / "short.mp4"
    (found,) = json.loads(run(world, short, "--json", "--timeline").stdout)
    label = found["segments"][0]["label"]
    (quiet,) = json.loads(run(world, short, "--json", "--timeline", "--background", label).stdout)
    assert quiet["segments"] == []
    assert quiet["predictions"] == found["predictions"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["clip.mp4", "--json", "--csv"], "choose one"),
        (["clip.mp4", "--json", "--jsonl"], "choose one"),
        (["clip.mp4", "--whole", "--srt", "a.srt"], "leave --whole out"),
        (["clip.mp4", "--whole", "--window", "3"], "leave --whole out"),
        (["clip.mp4", "--window", "0"], "window is 0.0 s"),
        (["clip.mp4", "--timeline", "--background", "up"], "not a class"),
        (["https://host/clip.mp4"], "not fetched"),
        (["rtsp://host/live"], "--allow-network"),
        (["*.nothing"], "matches no file"),
        (["0", "clip.mp4"], "a camera comes alone"),
        (["0", "--srt", "a.srt"], "a camera comes alone"),
        (["0", "--out", "folder"], "a camera comes alone"),
        (["0", "--min-duration", "3"], "a camera comes alone"),
        (["a.mp4", "b.mp4", "--srt", "a.srt"], "one file for 2 videos"),
        (["clip.mp4", "--annotate", "clip.mp4"], "is one of the files that are read"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(
    world: Path, arguments: list[str], reason: str
) -> None:
    told = run(world, *arguments)
    assert told.exit_code == 2
    assert reason in told.stderr


@pytest.mark.parametrize("style", ["--json", "--jsonl", "--csv"])
def test_answers_are_not_lost_when_something_ends_the_command(
    world: Path, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    real = recognise.recognise_each

    def until_the_disk_is_full(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield next(real(*arguments, **options))
        raise EnvironmentProblem("the disk is full")

    monkeypatch.setattr(
        "stresnet.prediction.recognise.recognise_each", until_the_disk_is_full, raising=False
    )
    short = world / "videos" / "sub" / "short.mp4"
    told = run(world, short, short, style)
    assert told.exit_code == 3
    assert "the disk is full" in told.stderr
    if style == "--csv":
        sources = [row["source"] for row in csv.DictReader(io.StringIO(told.stdout))]
        assert sources == [str(short)] * 2  # a row for each class
    else:
        found = json.loads(told.stdout)
        assert (found if style == "--jsonl" else found[0])["source"] == str(short)


def camera(monkeypatch: pytest.MonkeyPatch, frames: Iterator[Frame]) -> list[int]:
    """Have a camera give these frames; return the short sides that were asked for."""
    sides: list[int] = []

    def opened(address: str, *, short_side: int) -> Iterator[Frame]:
        sides.append(short_side)
        return frames

    monkeypatch.setattr("stresnet.data.video.camera.camera_frames", opened)
    return sides


def test_a_camera_tells_labels_as_they_change(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = moving_texture(8, 64, 64)
    camera(monkeypatch, (Frame(image, k / 4) for k, image in enumerate(images)))
    told = run(world, "0", "--window", "0.5", "--stride", "0.5")
    assert told.exit_code == 0, told.stderr
    (line,) = told.stdout.splitlines()
    assert line.startswith("0:00:0")
    assert line.endswith("%")
    assert "frames/s, " in told.stderr.splitlines()[-1]
    camera(monkeypatch, (Frame(image, k / 4) for k, image in enumerate(images)))
    lines = run(world, "0", "--window", "0.5", "--stride", "0.5", "--json").stdout.splitlines()
    answers: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert answers[0]["changed"]
    assert {"frames_per_second", "dropped", "delay", "predictions"} <= set(answers[0])


def test_a_camera_gives_frames_of_the_size_that_the_model_was_trained_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = STResNet(2, "tiny", input_size=32)
    small = preparation(short_side=64)
    net.save_pretrained(tmp_path / "model", class_names=["calm", "fight"], preparation=small)
    sides = camera(monkeypatch, iter(()))
    run(tmp_path, "0")
    assert sides == [64]


def test_ctrl_c_ends_a_camera_cleanly_and_stops_files(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    camera(monkeypatch, iter([Frame(np.zeros((64, 64, 3), np.uint8), 0.0)]))
    monkeypatch.setattr("stresnet.prediction.live_labels.live", interrupted, raising=False)
    told = run(world, "0")
    assert told.exit_code == 0
    assert "ended" in told.stderr
    monkeypatch.setattr("stresnet.prediction.recognise.recognise_each", interrupted, raising=False)
    told = run(world, world / "videos" / "sub" / "short.mp4")
    assert told.exit_code == 130
    assert "stopped" in told.stderr


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_stays_of_a_prediction_that_is_ended(
    world: Path, tmp_path: Path, end: signal.Signals, code: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    endless = write_video(tmp_path / "endless.mp4", moving_texture(3000, 64, 64))
    # Not `python -m`: Python ends a module by the signal itself if it was executing a string just
    # then, as imports of torch do.
    stresnet = Path(sys.executable).with_name("stresnet")
    command = [stresnet, "predict", world / "model", endless, "--whole"]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)})
    while not list(scratch.glob("stresnet-*/.*.partial")):  # being prepared
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(end)
    assert process.wait(30) == code
    assert not list(scratch.glob("stresnet-*"))


def test_the_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.96, 3671.25)] == [
        "0:00:00.0",
        "0:01:00.0",
        "1:01:11.2",
    ]
