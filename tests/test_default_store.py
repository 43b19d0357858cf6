"""One rule for where prepared videos lie, the same for every verb, and another place for each data.

prepare clips -> train clips -> evaluate clips: each video is decoded once.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import stresnet.data.prepare.ensure as ensure
import stresnet.data.prepare.job as job
from making_stores import without_processes
from making_videos import moving_texture, write_video
from stresnet.cli import app
from stresnet.data.prepare.many import PrepareReport, prepare
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.location import VARIABLE, default_store, store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.protocols import CENTRE_CROP
from stresnet.model import STResNet
from stresnet.training.estimate import estimate_training
from stresnet.training.plan import plan
from stresnet.training.recipes import QUICK
from toy_training import RECIPE as TOY

RECIPE = replace(TOY, short_side=QUICK.short_side, flow=QUICK.flow)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def write_clips(root: Path, seed: int = 0) -> Path:
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
        for number in range(2):
            clip = moving_texture(3, 32, 32, seed=seed + number, step=(ord(label[0]) % 5, 1))
            write_video(root / label / f"{number}.mp4", clip)
    return root


def test_prepare_then_train_then_evaluate_decode_each_video_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    without_processes(monkeypatch)
    clips = write_clips(Path("clips"))
    done = CliRunner().invoke(app, ["prepare", "clips"])
    assert "4 prepared" in done.stderr + caplog.text

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("a video is prepared twice")

    monkeypatch.setattr(job, "prepare_video", never)
    estimate_training(plan(clips, recipe=RECIPE, phases=["st_resnet"]))
    assert "2 of 2 training videos are prepared" in caplog.text

    net = STResNet(2, "tiny", input_size=32).eval()
    net.class_names = ("left", "right")
    stored = StoredVideo(next(Path("store").rglob("*.zip")))
    net.preparation = dict(stored.index.preparation)
    with torch.no_grad():
        result = evaluate(net, clips, protocols=CENTRE_CROP)
    assert not result.failures
    assert sorted(path.name for path in Path().iterdir()) == ["clips", "store"]


def test_two_data_sets_with_equal_file_names_never_share_a_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_processes(monkeypatch)
    for number, parent in enumerate(("a", "b")):
        write_clips(Path(parent, "clips"), seed=10 * number)
        assert CliRunner().invoke(app, ["prepare", f"{parent}/clips"]).exit_code == 0
    first, second = (
        StoredVideo(
            store_path(default_store(Path(parent, "clips"), **QUICK.preparing), "left/0.mp4")
        )
        for parent in ("a", "b")
    )
    assert first.path != second.path
    assert first.index.origin.sha256 != second.index.origin.sha256


def test_the_function_prepares_into_the_place_that_training_looks_in() -> None:
    clips = write_clips(Path("clips"))
    assert prepare(clips, **QUICK.preparing, workers=1).done
    assert [path.name for path in Path("store").iterdir()] == [
        default_store(clips, **QUICK.preparing).name
    ]


def test_the_key_names_the_folder_however_it_is_reached(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "list.csv").touch()
    (tmp_path / "link").symlink_to(clips)
    store = default_store(clips)
    assert store.parent == Path("store")
    assert store.name.startswith("clips-")
    for same in ("clips", clips / "list.csv", "link", "clips/../clips"):
        assert default_store(same) == store
    shutil.rmtree(clips)
    assert default_store(clips) == store  # a store outlives its videos


def test_the_environment_may_choose_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "scratch"))
    assert default_store("clips").parent == tmp_path / "scratch"


def test_damage_is_said_wherever_videos_are_used(caplog: pytest.LogCaptureFixture) -> None:
    """Train and evaluate get their videos here; a broken one is left out, a cut one is used."""
    lost = PrepareReport(done=("a.avi",), warnings=(("a.avi", "damaged or truncated: 25 frames"),))
    items = [VideoItem(Path("a.avi"), "left", "a.avi")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensure, "prepare", lambda *_, **__: lost)
        prepared = ensure.ensure_prepared(items, Path("store"))
    assert prepared.kept(skip_broken=False) == items
    assert "a.avi: damaged or truncated: 25 frames" in caplog.text
