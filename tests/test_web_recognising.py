"""What the worker finds out and draws, in this process."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from making_videos import moving_texture, write_sound, write_video
from stresnet.data.prepare.preparation import preparation
from stresnet.errors import VideoError
from stresnet.flow import FAST
from stresnet.model import STResNet
from stresnet.prediction.recognise import predict
from stresnet.prediction.recogniser import Recogniser
from stresnet.web.job import FILES, UPLOAD
from stresnet.web.recognise import recognise as recognise_clip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    net = STResNet(2, "tiny", input_size=32)
    net.preparation = preparation(FAST)
    net.save_pretrained(folder, class_names=["falls", "rises"])
    return folder


@pytest.fixture(scope="module")
def recogniser(model):
    return Recogniser(model)


def recognise(recogniser, folder, *, max_seconds=60.0, heard=lambda stage, share: None):
    return recognise_clip(
        recogniser,
        folder,
        "my.avi",
        max_seconds=max_seconds,
        threads=1,
        on_stage=heard,
    )


def test_a_clip_becomes_numbers_and_videos_that_browsers_play(recogniser, tmp_path):
    write_video(tmp_path / "clip.avi", moving_texture(12)).rename(tmp_path / UPLOAD)
    heard = []
    result = recognise(recogniser, tmp_path, heard=lambda *news: heard.append(news))
    shares = [share for _, share in heard]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    assert len({stage for stage, _ in heard}) == 4
    assert {path.name for path in tmp_path.iterdir()} == {UPLOAD, *FILES}
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert result["source"] == "my.avi" and result["segments"][0]["end"] == pytest.approx(12 / 25)
    assert set(result["windows"]["scores"]) == {"falls", "rises"}
    assert set(result["explained"]["streams"]) == {"appearance", "motion"}
    assert "my.avi" in (tmp_path / "result.csv").read_text()
    assert (tmp_path / "subtitles.vtt").read_text().startswith("WEBVTT")
    for name in (name for name in FILES if name.endswith(".mp4")):
        with av.open(tmp_path / name) as video:
            assert video.streams.video[0].codec_context.name == "h264"
            assert sum(1 for _ in video.decode(video=0)) == 12


def test_a_short_clips_classes_are_those_of_predict(model, tmp_path):
    clip = write_video(tmp_path / "clip.avi", moving_texture(12))
    expected = predict(model, clip).predictions
    clip.rename(tmp_path / UPLOAD)
    found = recognise(Recogniser(model), tmp_path)["predictions"]
    assert [entry["label"] for entry in found] == [entry.label for entry in expected]
    np.testing.assert_array_equal(
        [entry["score"] for entry in found], [entry.score for entry in expected]
    )


@pytest.mark.parametrize("kind", ["text", "empty", "sound"])
def test_what_is_no_video_is_said_by_the_visitors_name(recogniser, tmp_path, kind):
    if kind == "sound":
        write_sound(tmp_path / "sound.mp4").rename(tmp_path / UPLOAD)
    else:
        (tmp_path / UPLOAD).write_text("not a video" if kind == "text" else "")
    with pytest.raises(VideoError, match=r"^my\.avi: ") as caught:
        recognise(recogniser, tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("ending", [".mp4", ".mpg"])  # mpg announces no length that holds
def test_a_long_clip_is_refused(recogniser, tmp_path, ending):
    frames = moving_texture(60, 16, 16, step=(0, 0))
    write_video(tmp_path / f"clip{ending}", frames).rename(tmp_path / UPLOAD)
    with pytest.raises(VideoError, match=r"more than the 1\.5 seconds that are allowed"):
        recognise(recogniser, tmp_path, max_seconds=1.5)


def test_a_clip_that_tells_no_length_is_stopped_by_its_frames(recogniser, tmp_path, monkeypatch):
    monkeypatch.setattr("stresnet.web.recognise.MOST_FRAMES_PER_SECOND", 10)
    write_video(tmp_path / "clip.mkv", moving_texture(33, 16, 16)).rename(tmp_path / UPLOAD)
    with pytest.raises(VideoError, match=r"more than the 2 seconds"):
        recognise(recogniser, tmp_path, max_seconds=2.0)
