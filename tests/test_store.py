"""Laws of the store: what is written comes back, and every damage is noticed and named."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from making_stores import write_store
from making_videos import Video, moving_texture
from stresnet.data.store.format import FLOW_FORMAT, NO_MOTION, Origin
from stresnet.data.store.jpeg import decode_grey, decode_rgb, encode_grey, encode_rgb
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.writer import store_writer
from stresnet.errors import EnvironmentProblem, StoreError

ORIGIN = Origin("clip.avi", "0" * 64)
SAID = {**FLOW_FORMAT, "short_side": 48, "tau": 0.25}
FRAMES = moving_texture(5, 48, 64)
TIMES = np.array([0, 0.1, 0.2, 0.25, 0.4])
FLOW = moving_texture(8, 48, 64, seed=1)[..., 0].reshape(4, 2, 48, 64)


def write(path: Path, **changes) -> StoredVideo:
    video = Video(FRAMES, TIMES, ("one frame is odd",))
    return write_store(path, video, FLOW, origin=ORIGIN, **changes)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def test_what_is_written_comes_back(tmp_path):
    stored = write(tmp_path / "class" / "clip.zip", preparation={**SAID, "size": (1, 2)})
    assert (stored.num_frames, stored.height, stored.width) == (5, 48, 64)
    np.testing.assert_array_equal(stored.times, TIMES)
    assert stored.fps == pytest.approx(10)
    assert stored.duration == pytest.approx(0.5)
    assert stored.warnings == ("one frame is odd",)
    assert stored.index.origin == ORIGIN
    assert difference(stored.frames(range(5)), FRAMES) < 3
    assert difference(stored.flow(range(4)), FLOW) < 2
    stored.check({**SAID, "size": (1, 2)})
    stored.verify()


def test_any_order_and_repeats(tmp_path):
    stored = write(tmp_path / "clip.zip")
    frames, flow = stored.frames(range(5)), stored.flow(range(4))
    order = np.array([3, 0, 3, 2, 0])
    np.testing.assert_array_equal(stored.frames(order), frames[order])
    np.testing.assert_array_equal(stored.flow(order), flow[order])
    assert stored.frames([]).shape == (0, 48, 64, 3)


@pytest.mark.parametrize("index", [-1, 5])
def test_indices_outside_are_refused(tmp_path, index):
    stored = write(tmp_path / "clip.zip")
    with pytest.raises(IndexError, match="rgb"):
        stored.frames([0, index])
    with pytest.raises(IndexError, match="flow 4"):
        stored.flow([4])


def test_one_frame_has_no_motion(tmp_path):
    stored = write_store(
        tmp_path / "still.zip", Video(FRAMES[:1], TIMES[:1]), FLOW[:0], origin=ORIGIN
    )
    assert stored.frames([0, 0]).shape == (2, 48, 64, 3)
    assert (stored.flow([0, 7, 3]) == NO_MOTION).all()
    assert stored.flow([0, 7, 3]).shape == (3, 2, 48, 64)
    assert stored.fps == stored.duration == 0


def test_blocks_give_the_same_bytes_as_one_piece(tmp_path):
    write(tmp_path / "whole.zip")
    with store_writer(
        tmp_path / "blocks.zip", origin=ORIGIN, preparation=FLOW_FORMAT, libraries={}
    ) as writer:
        writer.add_frames(FRAMES[:2], TIMES[:2].tolist())
        writer.add_flow(FLOW[:1])
        writer.add_frames(FRAMES[2:], TIMES[2:].tolist())
        writer.add_flow(FLOW[1:])
        writer.warnings.append("one frame is odd")
    names = [zipfile.ZipFile(tmp_path / f"{name}.zip").namelist() for name in ("whole", "blocks")]
    assert sorted(names[0]) == sorted(names[1])
    a, b = StoredVideo(tmp_path / "whole.zip"), StoredVideo(tmp_path / "blocks.zip")
    assert a.index == b.index
    np.testing.assert_array_equal(a.flow(range(4)), b.flow(range(4)))


def test_the_same_video_gives_the_same_bytes(tmp_path):
    write(tmp_path / "a.zip")
    time.sleep(0.01)
    write(tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_ordinary_tools_read_it(tmp_path):
    path = write(tmp_path / "clip.zip").path
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert "rgb/000004.jpg" in archive.namelist()
        assert "flow/000003.jpg" in archive.namelist()
        assert json.loads(archive.read("index.json"))["height"] == 48
        picture = np.empty((96, 64), np.uint8)
        decode_grey(archive.read("flow/000000.jpg"), picture)
    np.testing.assert_array_equal(picture.reshape(2, 48, 64), StoredVideo(path).flow([0])[0])


def test_it_is_cheap_to_hold_and_to_send(tmp_path):
    stored = write(tmp_path / "clip.zip")
    stored.frames([0])
    assert len(pickle.dumps(stored)) < 500
    copy = pickle.loads(pickle.dumps(stored))
    np.testing.assert_array_equal(copy.frames([1]), stored.frames([1]))
    before = len(list(Path("/proc/self/fd").iterdir()))
    many = [StoredVideo(stored.path) for _ in range(50)]
    assert all(len(video.frames([0])) == 1 for video in many)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert str(stored.path) in repr(stored)


def test_reading_pictures_does_not_read_the_whole_table_of_contents(tmp_path, monkeypatch):
    """So it costs the same from a hundred frames and from a hundred thousand."""
    stored = write(tmp_path / "clip.zip")
    frames, flow = stored.frames([4, 0]), stored.flow([3, 0])
    monkeypatch.setattr(zipfile, "ZipFile", None)
    fresh = StoredVideo(stored.path)
    assert fresh.index.origin == ORIGIN
    monkeypatch.setattr(json, "loads", None)
    fresh = StoredVideo(stored.path)
    assert (fresh.num_frames, fresh.height, fresh.width) == (5, 48, 64)
    np.testing.assert_array_equal(fresh.frames([4, 0]), frames)
    np.testing.assert_array_equal(fresh.flow([3, 0]), flow)
    assert fresh.seal == stored.seal


def test_a_store_of_before_the_table_of_offsets_says_how_to_make_it_again(tmp_path):
    path = write(tmp_path / "old.zip").path
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"sha256 " + 64 * b"0"
    with pytest.raises(StoreError, match=r"an older version made it.*stresnet prepare"):
        StoredVideo(path).frames([0])


# --- incomplete and unfitting -------------------------------------------------------------------


def test_half_a_video_is_not_stored(tmp_path):
    path = tmp_path / "clip.zip"
    video = Video(FRAMES, TIMES)
    for frames, flow in ((video, FLOW[:3]), (Video(FRAMES[:0], TIMES[:0]), FLOW[:0])):
        with pytest.raises(StoreError, match="flow fields"):
            write_store(path, frames, flow, origin=ORIGIN)
    with pytest.raises(StoreError, match="flow of shape"):
        write_store(path, video, FLOW[..., :32], origin=ORIGIN)
    with pytest.raises(StoreError, match="a time for each"):
        write_store(path, Video(FRAMES, TIMES[:3]), FLOW, origin=ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_former_store(tmp_path):
    path = write(tmp_path / "clip.zip").path
    before = path.read_bytes()
    with (
        pytest.raises(RuntimeError),
        store_writer(path, origin=ORIGIN, preparation=FLOW_FORMAT, libraries={}) as writer,
    ):
        writer.add_frames(FRAMES, TIMES.tolist())
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_stores_prepared_otherwise_are_told_apart(tmp_path):
    stored = write(tmp_path / "clip.zip", preparation=SAID)
    with pytest.raises(StoreError, match=r"tau is 0.25, expected 0.1. Fix") as caught:
        stored.check({**SAID, "tau": 0.1})
    assert "short_side" not in caught.value.problem.split("differently")[1]
    with pytest.raises(StoreError, match=r"tau is 0.25, expected None; theta is None, expected 1"):
        stored.check({**FLOW_FORMAT, "short_side": 48, "theta": 1})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("flow_bound", 32.0, r"flow_bound is 32.0, expected 20.0"),
        ("flow_levels", "min to max", r"flow_levels is 'min to max', expected 'round"),
        ("flow_channels", "y, then x", r"flow_channels is 'y, then x', expected 'x"),
        ("flow_alignment", None, r"flow_alignment is None, expected 'field k"),
    ],
)
def test_a_store_whose_flow_means_something_else_is_neither_written_nor_read(
    tmp_path, monkeypatch, key, value, said
):
    other = {**FLOW_FORMAT, key: value}
    with pytest.raises(StoreError, match="in our format"):
        write(tmp_path / "clip.zip", preparation=other)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("stresnet.data.store.writer.FLOW_FORMAT", other)
    stored = write(tmp_path / "clip.zip", preparation=other)
    for read in (lambda: stored.index, stored.verify):
        with pytest.raises(StoreError, match=said):
            read()


def test_every_prepared_video_says_what_its_flow_means(tmp_path):
    with zipfile.ZipFile(write(tmp_path / "clip.zip").path) as archive:
        said = json.loads(archive.read("index.json"))["preparation"]
    assert FLOW_FORMAT.items() <= said.items()
    assert said["flow_bound"] == 20


def test_what_export_reads(tmp_path):
    stored = write(tmp_path / "clip.zip")
    with zipfile.ZipFile(stored.path) as archive:
        assert [archive.read(f"rgb/{index:06d}.jpg") for index in range(5)] == list(
            stored.jpegs("rgb")
        )
        assert archive.read("index.json") == stored.index_json()
        assert archive.comment.decode().endswith(stored.seal)
    assert not stored.imported


def test_other_format_versions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("stresnet.data.store.writer.VERSION", 99)
    stored = write(tmp_path / "clip.zip")
    with pytest.raises(StoreError, match="format version 99, expected 1") as caught:
        _ = stored.num_frames
    assert "stresnet prepare" in caught.value.remedy


# --- damage -------------------------------------------------------------------------------------


def test_a_missing_store_says_so(tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        StoredVideo(tmp_path / "none.zip").frames([0])


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ESTALE])
def test_only_damage_is_called_damage(tmp_path, monkeypatch, code):
    """An intact store that cannot be read just now must not be deleted, nor prepared again."""
    stored = write(tmp_path / "clip.zip")

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "open", fail)
    for read in (
        stored.verify,
        lambda: stored.frames([0]),
        lambda: stored.index,
        lambda: stored.seal,
    ):
        with pytest.raises(EnvironmentProblem, match="cannot be read") as caught:
            read()
        assert "delete" not in str(caught.value)


def test_every_flipped_bit_is_noticed(tmp_path):
    path = write(tmp_path / "clip.zip").path
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    tail = range(len(content) - 900, len(content))  # the table of contents, where ZIP is delicate
    for place in [*rng.integers(0, len(content), 100), *tail]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"damaged|format version"):
            StoredVideo(path).verify()


def test_every_truncation_is_noticed(tmp_path):
    path = write(tmp_path / "clip.zip").path
    content = path.read_bytes()
    for length in [0, 1, 63, 64, 65, *range(100, len(content), len(content) // 20)]:
        path.write_bytes(content[:length])
        with pytest.raises(StoreError, match="damaged"):
            StoredVideo(path).verify()
        with pytest.raises(StoreError, match="damaged"):
            _ = StoredVideo(path).num_frames


def test_other_files_are_not_called_damaged_and_not_to_be_deleted(tmp_path):
    video, archive = tmp_path / "clip.mp4", tmp_path / "labels.zip"
    video.write_bytes(bytes(range(256)) * 9)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("labels.json", "{}" * 100)
    for path in (video, archive):
        with pytest.raises(StoreError, match="is not a prepared video") as caught:
            StoredVideo(path).verify()
        assert "delete" not in caught.value.remedy


def test_reading_a_damaged_picture_names_it_and_the_others_still_read(tmp_path):
    path = write(tmp_path / "clip.zip").path
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("flow/000002.jpg").header_offset
    damaged = bytearray(path.read_bytes())
    damaged[start + 200] ^= 4
    path.write_bytes(damaged)
    stored = StoredVideo(path)
    assert len(stored.flow([0, 1, 3])) == 3
    with pytest.raises(StoreError, match=r"flow/000002.jpg is damaged") as caught:
        stored.flow([2])
    assert "stresnet prepare" in caught.value.remedy
    with pytest.raises(StoreError, match=r"flow/000002.jpg is damaged"):
        stored.verify()


def test_pictures_of_another_size_are_refused(tmp_path):
    path = tmp_path / "clip.zip"
    with store_writer(path, origin=ORIGIN, preparation=FLOW_FORMAT, libraries={}) as writer:
        writer.add_frame_jpeg(encode_rgb(FRAMES[0, :32, :32]), (48, 64), 0.0)
    with pytest.raises(StoreError, match="32x32 pixels, expected 64x48"):
        StoredVideo(path).frames([0])


def test_jpeg_keeps_pictures_nearly_as_they_are():
    rgb, grey = np.empty((48, 64, 3), np.uint8), np.empty((2, 24, 64), np.uint8)
    decode_rgb(encode_rgb(FRAMES[0]), rgb)
    assert difference(rgb, FRAMES[0]) < 3
    decode_grey(encode_grey(FRAMES[0, ..., 0]), grey)
    assert difference(grey.reshape(48, 64), FRAMES[0, ..., 0]) < 2
    still = np.full((48, 64), NO_MOTION, np.uint8)
    decode_grey(encode_grey(still), grey)
    assert (grey == NO_MOTION).all()
    with pytest.raises(ValueError):
        decode_rgb(b"no picture", rgb)


WRITE_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from stresnet.data.store.format import FLOW_FORMAT
from stresnet.data.store.format import Origin
from stresnet.data.store.writer import store_writer

frames = np.zeros((1, 64, 64, 3), np.uint8)
with store_writer(
    Path(sys.argv[1]), origin=Origin("a", "b"), preparation=FLOW_FORMAT, libraries={}
) as writer:
    while True:
        writer.add_frames(frames, [0.0])
"""


def test_kill_9_leaves_nothing_half(tmp_path):
    path = write(tmp_path / "clip.zip").path
    before = path.read_bytes()
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)])
    while not list(tmp_path.glob(".*.partial")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_bytes() == before
    StoredVideo(path).verify()
