"""Flow to look at, and the writer of the video it is shown in."""

from __future__ import annotations

import av
import numpy as np
import pytest

import stresnet.data.video.encode as video_writer_module
from making_stores import contents
from making_videos import moving_texture, read_video, write_video
from stresnet.data.video.encode import video_writer
from stresnet.errors import EnvironmentProblem, UsageError, VideoError
from stresnet.flow import grey, read_flo, tv_l1
from stresnet.flow.colour import to_colour
from stresnet.flow_video import flow_view

CLIP = moving_texture(5, 64, 80, step=(3, 0))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_flow_lies_beside_its_frame(tmp_path, threads):
    video = write_video(tmp_path / "clip.mp4", CLIP)
    view, flo = tmp_path / "view.mp4", tmp_path / "flo"
    fields = flow_view(video, view=view, flo=flo, max_px=6, short_side=64, threads=threads)
    assert fields == 4
    decoded = read_video(video, short_side=64)
    flow = tv_l1(grey(decoded.frames))
    shown = read_video(view, short_side=64)
    assert shown.frames.shape == (4, 64, 160, 3)
    np.testing.assert_allclose(shown.times, decoded.times[:4], atol=1e-4)
    assert np.abs(shown.frames[:, :, :80].astype(int) - decoded.frames[:4]).mean() < 6
    assert np.abs(shown.frames[:, :, 80:].astype(int) - to_colour(flow, 6)).mean() < 6
    assert sorted(path.name for path in flo.iterdir()) == [f"{k:06d}.flo" for k in range(4)]
    for k in range(4):
        np.testing.assert_array_equal(read_flo(flo / f"{k:06d}.flo"), flow[k])


def test_arguments_of_the_view(tmp_path):
    video = write_video(tmp_path / "clip.mp4", CLIP)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="--view FILE"):
        flow_view(video)
    with pytest.raises(UsageError, match="is one of the files that are read"):
        flow_view(video, view=tmp_path / "." / "clip.mp4")
    with pytest.raises(UsageError, match="above 0"):
        flow_view(video, view=tmp_path / "view.mp4", max_px=0)
    with pytest.raises(UsageError, match="would be replaced"):
        flow_view(video, flo=tmp_path)
    assert contents(tmp_path) == before
    truth = tmp_path / "truth" / "frame_0001.flo"  # as Sintel's, which cannot be computed again
    truth.parent.mkdir()
    truth.write_bytes(b"PIEH")
    with pytest.raises(UsageError, match=r"files of others, as frame_0001\.flo"):
        flow_view(video, flo=truth.parent)
    assert truth.read_bytes() == b"PIEH"


def test_a_single_frame_or_none_leaves_nothing(tmp_path):
    still = write_video(tmp_path / "still.avi", CLIP[:1])
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    before = contents(tmp_path)
    for video, said in ((still, "single frame"), (bad, "not a video")):
        with pytest.raises(VideoError, match=said):
            flow_view(video, view=tmp_path / "view.mp4", flo=tmp_path / "flo")
    assert contents(tmp_path) == before
    assert not (tmp_path / "flo").exists()


# --- the writer ---------------------------------------------------------------------------------


def test_what_is_written_is_read_back_with_its_times(tmp_path):
    times = [0.0, 0.04, 0.1, 0.5, 0.52]
    with video_writer(tmp_path / "new" / "a.mp4") as writer:
        for image, time in zip(CLIP, times, strict=True):
            writer.add(image, time)
    video = read_video(tmp_path / "new" / "a.mp4", short_side=64)
    assert np.abs(video.frames.astype(int) - CLIP).mean() < 6
    np.testing.assert_allclose(video.times, times, atol=1e-4)
    assert video.warnings == ()
    data = (tmp_path / "new" / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # a browser need not load it whole
    with av.open(tmp_path / "new" / "a.mp4") as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_the_same_frames_give_the_same_bytes(tmp_path):
    files, generator = set(), np.random.default_rng(0)
    for turn in range(60):
        path = tmp_path / f"{turn}.mp4"
        with video_writer(path, fps=10) as writer:
            for number, image in enumerate(CLIP):
                writer.add(image, number / 10)
        files.add(path.read_bytes())
        # Leaves other bytes in the memory that the encoder takes next.
        sizes = generator.integers(16, 120_000, size=200)
        used = [np.frombuffer(generator.bytes(size), np.uint8).copy() for size in sizes]
        for number in generator.permutation(200)[:150]:
            used[number] = None
    assert len(files) == 1


def test_frames_that_do_not_fit_leave_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(UsageError, match="even sides"), video_writer(path) as writer:
        writer.add(CLIP[0, :63], 0)
    with (
        pytest.raises(UsageError, match="80x62 pixels, expected 80x64"),
        video_writer(path) as writer,
    ):
        writer.add(CLIP[0], 0)
        writer.add(CLIP[1, :62], 0.1)
    with pytest.raises(UsageError, match="without a frame"), video_writer(path):
        pass
    with pytest.raises(UsageError, match=r"ends in \.mp4"), video_writer(tmp_path / "a.avi"):
        pass
    with pytest.raises(UsageError, match="more than 0"), video_writer(path, fps=0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_without_an_encoder_the_environment_is_blamed(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer_module, "ENCODER", "none")
    with (
        pytest.raises(EnvironmentProblem, match="no encoder"),
        video_writer(tmp_path / "a.mp4") as writer,
    ):
        writer.add(CLIP[0], 0)
    assert list(tmp_path.iterdir()) == []
