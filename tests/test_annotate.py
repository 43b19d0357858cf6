"""A timeline drawn into its video."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from making_videos import moving_texture, read_video, write_video
from stresnet.drawing import APPEARANCE, MOTION
from stresnet.errors import UsageError, VideoError
from stresnet.prediction.annotated_video import CLASS_COLOURS, MARGIN, QUIET, STRIP, Panel, annotate
from stresnet.prediction.result import Timeline, TimelineSettings
from stresnet.progress import Progress


def a_timeline(**settings: object) -> Timeline:
    """Of 4 s: fight in the first half, by the motion stream alone; then calm."""
    starts = np.arange(7) / 2
    motion = np.where(starts[:, None] < 1.7, [[4.0, -4.0]], [[-4.0, 4.0]]).astype(np.float32)
    return Timeline("clip.mp4", ("fight", "calm"), starts, starts + 1, np.zeros_like(motion),
                    motion, 4.0, (), TimelineSettings(1.0, 0.5, 0.0, 1.0, **settings))  # type: ignore[arg-type]  # fmt: skip


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((picture == colour).all(-1).mean())


def test_the_strip_shows_where_each_class_is() -> None:
    panel = Panel(a_timeline(), 220).at(4.0)
    strip = panel[-MARGIN - STRIP : -MARGIN, MARGIN:-MARGIN]
    first, second = strip[:, 5:95], strip[:, 120:190]
    order = [entry.label for entry in a_timeline().predictions]
    assert share(first, CLASS_COLOURS[order.index("fight")]) == 1
    assert share(second, CLASS_COLOURS[order.index("calm")]) == 1
    quiet = Panel(a_timeline(background="calm"), 220).at(0.0)[-MARGIN - STRIP : -MARGIN]
    assert share(quiet[:, 130:200], QUIET) == 1


def test_bars_tell_the_streams_apart_and_change_with_time() -> None:
    panel = Panel(a_timeline(), 400)
    early, late = panel.at(0.5), panel.at(3.5)
    assert share(early, APPEARANCE) == pytest.approx(share(late, APPEARANCE), rel=0.2)
    assert share(early, MOTION) > 0
    assert not np.array_equal(early, late)
    assert early.shape == late.shape
    assert early.shape[0] % 2 == 0


def test_an_annotated_video_plays_in_browsers(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", moving_texture(20, 64, 90), fps=5)
    out = tmp_path / "new" / "out.mp4"
    reports: list[Progress] = []
    annotate(a_timeline(), video, out, short_side=128,
             on_progress=reports.append)  # fmt: skip
    with av.open(out) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        height, width = stream.height, stream.width
    shown = read_video(out, short_side=width)
    original = read_video(video, short_side=128)
    assert (height, width) == (128 + Panel(a_timeline(), width).at(0).shape[0], 180)
    np.testing.assert_allclose(shown.times, original.times, atol=1e-3)
    free = np.s_[:, 40:128, :120]  # left of and below the inset
    assert np.abs(shown.frames[free].astype(int) - original.frames[free]).mean() < 6
    assert [(report.done, report.total) for report in reports] == [(1, 4), (2, 4), (3, 4)]
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_what_cannot_be_annotated(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", moving_texture(3, 64, 90), fps=5)
    before = video.read_bytes()
    with pytest.raises(UsageError, match="one of the files that are read"):
        annotate(a_timeline(), video, video)
    with pytest.raises(UsageError, match="short_side"):
        annotate(a_timeline(), video, tmp_path / "out.mp4", short_side=131)
    with pytest.raises(UsageError, match=r"\.mp4"):
        annotate(a_timeline(), video, tmp_path / "out.avi")
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    with pytest.raises(VideoError):
        annotate(a_timeline(), broken, tmp_path / "out.mp4")

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    longer = write_video(tmp_path / "longer.mp4", moving_texture(6, 64, 90), fps=3)
    with pytest.raises(KeyboardInterrupt):
        annotate(a_timeline(), longer, tmp_path / "out.mp4", short_side=128, on_progress=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "clip.mp4", "longer.mp4"]
    assert video.read_bytes() == before
