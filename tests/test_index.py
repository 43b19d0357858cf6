"""What was found intact is not read again until it changes; whatever changes is noticed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import stresnet.data.prepare.job as job_module
import stresnet.data.prepare.many as many
import stresnet.data.splits.checks as checks
import stresnet.data.store.index as index
from making_stores import without_processes
from making_videos import moving_texture, write_video
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.many import prepare
from stresnet.data.prepare.part import Part
from stresnet.data.splits.split import VideoItem, make_split
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, UsageError
from stresnet.flow import TVL1Parameters
from stresnet.jobs import JobReport
from stresnet.training.run import common_preparation

QUICK = TVL1Parameters(scales=1, warps=1, iterations=3)
NAMES = ("run/a.mp4", "walk/b.mp4")


class World:
    """Two videos, prepared; counts the contents that are read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.videos, self.out = folder / "videos", folder / "out"
        for seed, name in enumerate(NAMES):
            (self.videos / name).parent.mkdir(parents=True)
            write_video(self.videos / name, moving_texture(3, 32, 32, seed=seed))
        self.read: list[str] = []
        real = job_module.PrepareJob.is_done

        def is_done(job: job_module.PrepareJob) -> bool:
            self.read.append(job.name)
            return real(job)

        monkeypatch.setattr(job_module.PrepareJob, "is_done", is_done)

    def prepare(self, **options: object) -> JobReport:
        """Prepare both videos; `read` then has those whose contents were looked at."""
        self.read.clear()
        videos = [(self.videos / name, name) for name in NAMES]
        return prepare(videos, self.out, parameters=QUICK, short_side=32, **options)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    without_processes(monkeypatch)
    monkeypatch.setattr(index, "SETTLED_SECONDS", 0.0)
    world = World(tmp_path, monkeypatch)
    assert world.prepare().done == NAMES
    assert world.prepare().skipped == NAMES
    assert world.read == []
    return world


def rewrite_video(path: Path) -> None:
    """Other pictures under the same name, size and time of change: only `ctime` tells."""
    before, size = path.stat(), path.stat().st_size
    content = bytearray(path.read_bytes())
    content[size // 2] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def copy_over(path: Path) -> None:
    """A copy in the place of the original, with its times."""
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


@pytest.mark.parametrize("change", [Path.touch, copy_over, rewrite_video])
@pytest.mark.parametrize("of", ["source", "store"])
def test_what_looks_different_is_read_again(world: World, change: object, of: str) -> None:
    path = world.videos / NAMES[0] if of == "source" else store_path(world.out, NAMES[0])
    change(path)  # type: ignore[operator]
    report = world.prepare()
    assert world.read == [NAMES[0]]
    assert NAMES[0] in (report.done if change is rewrite_video else report.skipped)
    assert world.prepare().skipped == NAMES
    assert world.read == []


def test_a_store_that_is_gone_is_made_again(world: World) -> None:
    store_path(world.out, NAMES[1]).unlink()
    report = world.prepare()
    assert (report.done, report.skipped) == (NAMES[1:], NAMES[:1])


def test_a_source_that_went_or_came_back_is_noticed(world: World) -> None:
    video = world.videos / NAMES[0]
    content = video.read_bytes()
    video.unlink()
    assert world.prepare().skipped == NAMES
    assert world.read == [NAMES[0]]
    video.write_bytes(content[:-1])
    world.prepare()
    assert world.read == [NAMES[0]]


@pytest.mark.parametrize("verify", [False, True])
def test_what_was_prepared_otherwise_is_not_overwritten(world: World, verify: bool) -> None:
    """It may have taken a cluster a day; a recipe is easily forgotten."""
    other = TVL1Parameters(scales=1, warps=1, iterations=4)
    videos = [(world.videos / name, name) for name in NAMES]
    before = [store_path(world.out, name).read_bytes() for name in NAMES]
    with pytest.raises(UsageError, match=r"prepared otherwise: of .* is 3, expected 4.*--recipe"):
        prepare(videos, world.out, parameters=other, short_side=32, verify=verify)
    # A copied store has an index that does not fit any more, or none.
    (world.out / index.FILE).unlink()
    report = prepare(videos, world.out, parameters=other, short_side=32, verify=verify)
    assert [name for name, _ in report.failures] == list(NAMES)
    assert "is prepared otherwise" in report.failures[0][1]
    assert [store_path(world.out, name).read_bytes() for name in NAMES] == before


def test_verify_reads_everything(world: World) -> None:
    """A bit that the disk flipped changes neither size nor times: as if it had always been so."""
    store = store_path(world.out, NAMES[0])
    damaged = bytearray(store.read_bytes())
    damaged[500] ^= 1
    store.write_bytes(damaged)
    before = dict(index.read_index(world.out))[NAMES[0]]
    seen = replace(before, store=index.Look.of(store))
    index.add_to_index(world.out, {NAMES[0]: seen})
    assert world.prepare().skipped == NAMES
    assert world.prepare(verify=True).done == NAMES[:1]
    assert world.read == list(NAMES)


def spoil(file: Path) -> None:
    """Another version's."""
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("DROP TABLE preparations")


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no database, but text"),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        spoil,
    ],
    ids=["empty", "text", "cut", "other tables"],
)
def test_a_damaged_index_costs_time_and_nothing_else(
    world: World, damage: Callable[[Path], object]
) -> None:
    damage(world.out / index.FILE)
    assert world.prepare().skipped == NAMES
    assert world.read == list(NAMES)
    world.prepare()
    assert world.read == []


def test_parts_keep_an_index_each_and_all_are_read(world: World) -> None:
    """Two machines must not write one SQLite file over a network."""
    (world.out / index.FILE).unlink()
    for number in (1, 2):
        world.prepare(part=Part(number, 2))
    assert not (world.out / index.FILE).exists()
    assert world.prepare().skipped == NAMES
    assert world.read == []


def test_the_index_is_written_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill costs is half a minute."""
    (world.out / index.FILE).unlink()
    written: list[int] = []
    real = many.add_to_index

    def add(store: Path, found: Mapping[str, index.Indexed], **options: Any) -> None:
        written.append(len(found))
        real(store, found, **options)

    monkeypatch.setattr(many, "add_to_index", add)
    monkeypatch.setattr(many, "SAVE_SECONDS", -1.0)
    world.prepare()
    assert written == [1, 1, 0]


def test_what_the_index_knows_is_not_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and evaluation start without opening each prepared video."""
    items = [VideoItem(world.videos / name, name[:3], name) for name in NAMES]
    asked: dict[str, Any] = {"parameters": QUICK, "short_side": 32}
    opened = {name: StoredVideo(store_path(world.out, name)) for name in NAMES}
    expected = {name: (each.seal, each.preparation) for name, each in opened.items()}
    monkeypatch.setattr(StoredVideo, "_file", None)
    videos = ensure_prepared(items, world.out, **asked)
    found = {item.name: (each.seal, each.preparation) for item, each in videos.usable()}
    assert found == expected
    assert common_preparation(items, videos) == expected[NAMES[0]][1]


def test_equal_contents_are_found_without_reading_known_videos(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = world.videos / "walk" / "twin.mp4"
    shutil.copy(world.videos / NAMES[0], twin)
    prepare([(twin, "walk/twin.mp4")], world.out, parameters=QUICK, short_side=32)
    monkeypatch.setattr(checks, "_digest", None)
    train = [VideoItem(world.videos / name, name.split("/")[0], name) for name in NAMES]
    test = [VideoItem(twin, "run", "walk/twin.mp4")]
    with pytest.raises(DatasetError, match=r"walk/twin\.mp4 = run/a\.mp4"):
        checks.check(make_split(train, test), world.out)


def test_a_file_that_cannot_be_read_is_no_twin(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed when it is prepared, and does not end `check`."""

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    twin = world.videos / "walk" / "twin.mp4"
    shutil.copy(world.videos / NAMES[0], twin)
    monkeypatch.setattr(checks, "_digest", refused)
    train = [VideoItem(world.videos / name, name.split("/")[0], name) for name in NAMES]
    checks.check(make_split(train, [VideoItem(twin, "run", "walk/twin.mp4")]))


def test_an_index_that_cannot_be_written_again_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dict(index.read_index(world.out))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(index, "_write", full)
    with pytest.raises(EnvironmentProblem, match=r"disk is full.*free space"):
        index.rebuild_index(world.out, found)
    assert dict(index.read_index(world.out)) == found


def test_a_file_that_was_written_just_now_is_not_trusted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SETTLED_SECONDS", 3600.0)
    (world.out / index.FILE).unlink()
    for _ in range(2):
        world.prepare()
        assert world.read == list(NAMES)


def test_where_nothing_is_to_do_the_store_need_not_be_writable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "require_writable", None)
    assert world.prepare().skipped == NAMES


def test_warnings_are_repeated_though_nothing_is_read(world: World) -> None:
    video = world.videos / "run" / "cut.avi"
    write_video(video, moving_texture(20, 32, 32))
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 7 // 8])
    for _ in range(2):
        report = prepare([(video, "cut.avi")], world.out, parameters=QUICK, short_side=32)
        ((name, warning),) = report.warnings
        assert name == "cut.avi"
        assert "truncated" in warning
