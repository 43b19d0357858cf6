"""Laws of taking over what other tools wrote: checked, aligned, in our bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from making_stores import contents, moving_store, without_processes, write_denseflow
from stresnet.data.formats.layouts import DENSEFLOW, Layout
from stresnet.data.formats.read import find_pictures, import_pictures, requantise
from stresnet.data.formats.write import export
from stresnet.data.prepare.many import prepare
from stresnet.data.store.jpeg import encode_grey
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, UsageError
from stresnet.flow import to_bytes, to_pixels

NAMES = ("run/a.mp4", "walk/b.avi")
READ = [Layout.AUTHORS.value, DENSEFLOW]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


def exported(folder: Path, format: str) -> Path:
    """Two videos of six frames in a layout."""
    for seed, name in enumerate(NAMES):
        moving_store(folder / "store", name, seed=seed)
    if format == DENSEFLOW:
        return write_denseflow(NAMES, folder / "store", folder / "layout")
    export(NAMES, folder / "store", folder / "layout", Layout(format))
    return folder / "layout"


@pytest.mark.parametrize("format", READ)
def test_export_then_import_gives_the_video_back(tmp_path, format):
    layout = exported(tmp_path, format)
    out = tmp_path / "imported"
    report = import_pictures(find_pictures(layout), out, videos=NAMES, fps=10)
    assert report.done == NAMES
    for name in NAMES:
        first = StoredVideo(store_path(tmp_path / "store", name))
        again = StoredVideo(store_path(out, name))
        assert list(again.jpegs("rgb")) == list(first.jpegs("rgb"))
        # denseflow counts pixels of these pictures; a store, of pictures of 256 px.
        times = 4 if format == DENSEFLOW else 1
        levels = again.flow(range(5)), to_bytes(times * to_pixels(first.flow(range(5))))
        assert np.abs(levels[0].astype(int) - levels[1]).max() <= 2 * times
        np.testing.assert_allclose(again.times, np.arange(6) / 10)
        assert again.imported
        assert again.index.preparation["imported_from"] == format
        assert again.index.preparation["imported_bound"] == 20
        assert again.index.preparation["short_side"] == 64
        assert again.index.preparation["flow_scale"] == 4


def test_without_its_video_it_is_called_as_in_the_layout(tmp_path):
    found = find_pictures(exported(tmp_path, DENSEFLOW))
    assert import_pictures(found, tmp_path / "out").done == ("run/a", "walk/b")
    assert import_pictures(found, tmp_path / "named", videos=NAMES[:1]).done == (
        "run/a.mp4",
        "walk/b",
    )


def test_old_dense_flow_counts_from_1(tmp_path):
    layout = exported(tmp_path, DENSEFLOW)
    for path in sorted(layout.rglob("*.jpg"), reverse=True):
        stem, _, number = path.stem.rpartition("_")
        path.rename(path.with_name(f"{stem}_{int(number) + 1:05d}.jpg"))
    assert import_pictures(find_pictures(layout), tmp_path / "out").failures == ()


@pytest.mark.parametrize("format", READ)
def test_what_a_killed_export_left_is_no_video(tmp_path, format):
    layout = exported(tmp_path, format)
    whole = layout / ("jpegs_256/a" if format == Layout.AUTHORS else "run/a")
    (whole.parent / ".a.123.partial").mkdir()
    (whole.parent / ".a.123.partial" / next(whole.iterdir()).name).touch()
    assert len(find_pictures(layout)) == 2


def test_one_video_s_folder_alone(tmp_path):
    layout = exported(tmp_path, DENSEFLOW)
    (pictures,) = find_pictures(layout / "run" / "a")
    assert pictures.name == "a"
    assert import_pictures([pictures], tmp_path / "out").done == ("a",)


@pytest.mark.parametrize("bound", [10.0, 32.0])
def test_another_bound_is_brought_to_ours(tmp_path, bound):
    layout = exported(tmp_path, DENSEFLOW)
    levels = np.rint((np.array([3.0, -1.0]) + bound) * 255 / (2 * bound)).astype(np.uint8)
    for axis, level in zip("xy", levels, strict=True):
        for path in (layout / "run" / "a").glob(f"flow_{axis}_*"):
            path.write_bytes(encode_grey(np.full((64, 80), level, np.uint8)))
    import_pictures(find_pictures(layout), tmp_path / "out", bound=bound, videos=NAMES)
    stored = StoredVideo(store_path(tmp_path / "out", "run/a.mp4"))
    flow = to_pixels(stored.flow([0]))[0]
    assert np.abs(flow[0] / 4 - 3).max() < 0.25  # its pictures have 64 px, not 256
    assert np.abs(flow[1] / 4 + 1).max() < 0.25
    assert stored.index.preparation["flow_bound"] == 20
    assert stored.index.preparation["imported_bound"] == bound


def test_our_own_bound_changes_no_level():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(requantise(levels, 20.0), levels)
    np.testing.assert_array_equal(requantise(levels, 10.0), to_bytes(to_pixels(levels) / 2))


def test_run_again_only_what_changed_is_imported_anew(tmp_path):
    layout = exported(tmp_path, Layout.AUTHORS)
    out = tmp_path / "out"
    import_pictures(find_pictures(layout), out)
    first = contents(out)
    assert import_pictures(find_pictures(layout), out).skipped == ("a", "b")
    assert import_pictures(find_pictures(layout), out, fps=10).done == ("a", "b")
    assert import_pictures(find_pictures(layout), out).done == ("a", "b")
    assert contents(out) == first
    field = layout / "tvl1_flow" / "u" / "a" / "frame000003.jpg"
    field.write_bytes(encode_grey(np.full((64, 80), 90, np.uint8)))
    assert import_pictures(find_pictures(layout), out).done == ("a",)


def damage(layout: Path, what: str) -> None:
    u, v, rgb = (layout / folder / "a" for folder in ("tvl1_flow/u", "tvl1_flow/v", "jpegs_256"))
    if what == "a field is missing":
        (u / "frame000003.jpg").unlink()
    elif what == "the last frame is missing":
        (rgb / "frame000006.jpg").unlink()
    elif what == "a frame in between is missing":
        (rgb / "frame000002.jpg").unlink()
    elif what == "vertical flow is missing":
        for path in v.iterdir():
            path.unlink()
    elif what == "flow counts from 0":
        for path in sorted([*u.iterdir(), *v.iterdir()]):
            path.rename(path.with_name(f"frame{int(path.stem[5:]) - 1:06d}.jpg"))
    elif what == "flow has another size":
        (u / "frame000002.jpg").write_bytes(encode_grey(np.zeros((32, 80), np.uint8)))
    elif what == "a frame is cut off":
        frame = rgb / "frame000004.jpg"
        frame.write_bytes(frame.read_bytes()[:200])
    elif what == "the first frame is no picture":
        (rgb / "frame000001.jpg").write_text("nothing")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a field is missing", "6 frames, numbered 1 to 6, with 4 horizontal"),
        ("the last frame is missing", "5 frames, numbered 1 to 5, with 5 horizontal"),
        ("a frame in between is missing", "numbered 1 to 6, 5 of them"),
        ("vertical flow is missing", "and 0 vertical ones, numbered -"),
        ("flow counts from 0", "with 5 horizontal flow fields, numbered 0 to 4"),
        ("flow has another size", "80x32 pixels, expected 80x64"),
        ("a frame is cut off", "frame000004.jpg: cannot be used"),
        ("the first frame is no picture", "frame000001.jpg: cannot be used"),
    ],
)
def test_what_does_not_fit_together_is_refused_and_named(tmp_path, what, said):
    layout = exported(tmp_path, Layout.AUTHORS)
    damage(layout, what)
    report = import_pictures(find_pictures(layout), tmp_path / "out")
    assert report.done == ("b",)
    ((name, reason),) = report.failures
    assert name == "a"
    assert said in reason
    assert sorted(contents(tmp_path / "out")) == ["b.zip", "failures.csv"]


def test_prepare_leaves_what_was_imported(tmp_path):
    """Also without the videos: who imports often has none."""
    layout = exported(tmp_path, Layout.AUTHORS)
    out = tmp_path / "out"
    import_pictures(find_pictures(layout), out, videos=NAMES)
    first = contents(out)
    assert prepare([(tmp_path / name, name) for name in NAMES], out).skipped == NAMES
    assert contents(out) == first
    store_path(out, NAMES[0]).write_bytes(b"damaged")
    assert len(prepare([(tmp_path / NAMES[0], NAMES[0])], out).failures) == 1


@pytest.mark.parametrize("place", ["empty", "none"])
def test_where_there_are_no_pictures(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no prepared videos of another tool"):
        find_pictures(tmp_path / place)


@pytest.mark.parametrize("arguments", [{"bound": 0.0}, {"bound": float("nan")}, {"fps": -1.0}])
def test_arguments_must_make_sense(tmp_path, arguments):
    with pytest.raises(UsageError, match="above 0"):
        import_pictures([], tmp_path, **arguments)
