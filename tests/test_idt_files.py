"""Trajectories on disk, and the extraction of many videos."""

import gzip
import zipfile

import numpy as np
import pytest

pytest.importorskip("cv2")

from making_stores import contents, moved, without_processes
from making_trajectories import made_up, write_made_up
from making_videos import write_video
from stresnet.errors import StoreError, UsageError, VideoError
from stresnet.idt.extract import extract
from stresnet.idt.feature_file import (
    BLOCK,
    count_trajectories,
    feature_path,
    find_features,
    iter_blocks,
    read_index,
    write_features,
)


def read(path):
    return np.concatenate([np.zeros((0, 436), np.float32), *iter_blocks(path)])


def as_text(rows):
    """As the authors' program prints them."""
    return "".join("\t".join(f"{value:.7f}" for value in row) + "\t\n" for row in rows)


def test_what_is_written_is_read(tmp_path):
    rows = made_up(130)
    path = write_made_up(tmp_path, "a/b.avi", rows, frames=45)
    found = read(path)
    np.testing.assert_array_equal(found[:, :9], rows[:, :9])
    np.testing.assert_allclose(found[:, 9], np.clip((rows[:, 0] - 7.5) / 45, 0, 0.999), rtol=1e-6)
    np.testing.assert_allclose(found[:, 10:], rows[:, 10:], rtol=1e-3, atol=1e-6)
    assert count_trajectories(path) == read_index(path)["trajectories"] == 130


def test_numpy_reads_it_and_nothing_in_it_is_pickled(tmp_path):
    path = write_made_up(tmp_path, "a.avi", made_up(10))
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["info"].shape == (10, 10)
        assert arrays["descriptors-000000"].dtype == np.float16


def test_long_videos_are_read_and_written_in_blocks(tmp_path):
    rows = made_up(2 * BLOCK + 5)
    path = write_made_up(tmp_path, "long.avi", rows, block=1000)
    sizes = [len(block) for block in iter_blocks(path)]
    assert sum(sizes) == len(rows) and max(sizes) < BLOCK + 1000
    np.testing.assert_array_equal(read(path)[:, 0], rows[:, 0])


def test_no_trajectories_are_a_file_too(tmp_path):
    path = write_made_up(tmp_path, "still.avi", made_up(0), frames=3)
    assert len(read(path)) == 0 == count_trajectories(path)


@pytest.mark.parametrize("ending", [".avi.txt", ".avi.txt.gz", ".txt", ".txt.gz"])
def test_the_authors_programs_text_is_read_too(tmp_path, ending):
    rows = made_up(20)
    path = tmp_path / "CLASS" / f"clip{ending}"
    path.parent.mkdir()
    opened = gzip.open if ending.endswith("gz") else open
    with opened(path, "wt") as file:
        file.write(as_text(rows))
    assert find_features(tmp_path, "CLASS/clip.avi") == path
    np.testing.assert_allclose(read(path), rows, atol=1e-6)
    assert count_trajectories(path) == 20


def test_our_file_comes_before_text_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "clip.txt").write_text("")
    assert find_features(tmp_path, "clip.avi").suffix == ".txt"
    ours = write_made_up(tmp_path, "clip.avi", made_up(1))
    assert find_features(tmp_path, "clip.avi") == ours
    with pytest.raises(StoreError, match=r"other.avi.npz: no such file.*idt extract"):
        find_features(tmp_path, "other.avi")


@pytest.mark.parametrize("text", ["1 2 3\n", "x " * 436 + "\n", "nan " * 436 + "\n", "\x80\n"])
def test_other_text_is_refused(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"a.txt: the trajectories cannot be read"):
        read(path)


def test_damaged_files_are_named(tmp_path):
    path = write_made_up(tmp_path, "a.avi", made_up(100))
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:3000] + b"\xff" * 8 + whole[3008:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"a.avi.npz: the trajectories cannot be read"):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", '{"format": 99}')
    with pytest.raises(StoreError, match="format 99, expected 1"):
        read_index(path)


def test_a_video_that_fails_leaves_no_file(tmp_path):
    def blocks():
        yield made_up(5)
        raise VideoError("broken")

    with pytest.raises(VideoError):
        write_features(tmp_path / "a.npz", blocks(), lambda: {"frames": 20})
    assert not list(tmp_path.iterdir())


@pytest.fixture
def videos(tmp_path):
    """Two moving videos, one of a single frame, and a text that is called one."""
    folder = tmp_path / "videos"
    folder.mkdir()
    way = np.stack([2 * np.arange(18), np.zeros(18, int)], axis=1)
    pictures = moved(way, 64, 80)
    pictures[:, 16:48, 24:56] = moved(way[::-1] * 2, 32, 32, seed=2)
    write_video(folder / "a.mp4", pictures)
    write_video(folder / "b.mp4", pictures[:, ::-1])
    write_video(folder / "one.mp4", pictures[:1])
    (folder / "text.avi").write_text("no video")
    return [(path, path.name) for path in sorted(folder.iterdir())]


def test_extraction_goes_on_where_it_was(tmp_path, videos, monkeypatch):
    without_processes(monkeypatch)
    out = tmp_path / "features"
    report = extract(videos, out, short_side=64)
    assert report.done == ("a.mp4", "b.mp4", "one.mp4") and not report.skipped
    assert [name for name, _ in report.failures] == ["text.avi"]
    first = contents(out)
    assert {"a.mp4.npz", "b.mp4.npz", "one.mp4.npz", "failures.csv"} == set(first)
    assert count_trajectories(feature_path(out, "a.mp4")) > 20
    said = read_index(feature_path(out, "one.mp4"))
    assert said["trajectories"] == 0
    assert said["warnings"] == ["1 frames; a trajectory takes 16"]

    (out / "b.mp4.npz").write_bytes(b"damaged")
    again = extract(videos, out, short_side=64)
    assert again.done == ("b.mp4",) and again.skipped == ("a.mp4", "one.mp4")
    assert contents(out) == first

    assert extract(videos[:1], out, short_side=48).done == ("a.mp4",)


def test_sizes_and_names_that_make_no_sense_are_refused(tmp_path, videos):
    with pytest.raises(UsageError, match="at least 32"):
        extract(videos, tmp_path / "out", short_side=31)
    with pytest.raises(UsageError, match=r"two videos are called a.mp4"):
        extract([videos[0], videos[0]], tmp_path / "out")
