"""Packed videos are read where they lie, and packing can be interrupted, repeated and damaged."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import stresnet.data.store.pack as packing
from making_stores import moving_store
from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, SampleKey, TrainingItem
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.estimate import estimate_preparation
from stresnet.data.prepare.many import prepare
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.check import check_stores
from stresnet.data.store.index import SHARDS_FILE, is_stored, place_of
from stresnet.data.store.location import store_path
from stresnet.data.store.pack import cached, pack
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError, UsageError
from stresnet.flow import FAST

NAMES = ("run/a.mp4", "run/" + "é" * 120 + ".mp4", "walk/b.mp4")  # the second one's file is cut


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        moving_store(tmp_path / "store", name, seed=seed)
    return tmp_path / "store"


@pytest.fixture
def shards(store: Path, tmp_path: Path) -> Path:
    out = tmp_path / "shards"
    assert len(pack(store, out).done) == 3
    return out


def test_what_is_packed_is_what_was_prepared(store: Path, shards: Path, tmp_path: Path) -> None:
    for name in NAMES:
        apart = StoredVideo(store_path(store, name))
        inside = StoredVideo(place_of(shards, name))
        assert inside.path.name == "shard-00000.tar"
        inside.verify()
        assert inside.seal == apart.seal
        assert inside.index == apart.index
        np.testing.assert_array_equal(inside.frames([3, 0, 3]), apart.frames([3, 0, 3]))
        np.testing.assert_array_equal(inside.flow([4, 1]), apart.flow([4, 1]))
    with tarfile.open(shards / "shard-00000.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    for name in NAMES:
        content = store_path(tmp_path / "unpacked", name).read_bytes()
        assert content == store_path(store, name).read_bytes()


def test_training_sees_the_same_samples(store: Path, shards: Path) -> None:
    settings = ChunkSettings(2, (1, 1), "corners", 32)

    def sample(folder: Path) -> np.ndarray:
        items = [TrainingItem(place_of(folder, name), 0) for name in NAMES]
        dataset = ChunkDataset(items, settings, seed=1, open_video=StoredVideo)
        return dataset[SampleKey(0, 0, 1)].flow.numpy()

    np.testing.assert_array_equal(sample(shards), sample(store))


def test_shards_are_a_store_to_train_on_and_to_evaluate_with(store: Path, shards: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in shards.iterdir()}
    names = [*NAMES, "run/new.mp4"]
    items = [VideoItem(Path("gone", name), name.split("/")[0], name) for name in names]
    videos = ensure_prepared(items, shards)
    assert dict(videos.failures) == {"run/new.mp4": f"is not among the packed videos of {shards}"}
    found = {item.name: stored.seal for item, stored in videos.usable()}
    assert found == {name: StoredVideo(store_path(store, name)).seal for name in NAMES}
    other = prepare([(Path("gone"), NAMES[0])], shards, parameters=FAST)
    assert "prepared differently: tv_l1_" in other.failures[0][1]
    assert {path.name: path.stat().st_mtime_ns for path in shards.iterdir()} == before
    assert is_stored(shards, NAMES[1])
    assert not is_stored(shards, "run/new.mp4")
    with pytest.raises(StoreError, match="not among the packed videos"):
        place_of(shards, "run/new.mp4")


def test_packing_again_adds_what_is_new(store: Path, shards: Path) -> None:
    assert pack(store, shards).skipped == tuple(sorted(packing.key_of(name) for name in NAMES))
    first = (shards / "shard-00000.tar").read_bytes()
    moving_store(store, "run/new.mp4", seed=7)
    moving_store(store, NAMES[0], seed=8)  # prepared again, otherwise
    assert pack(store, shards).done == (NAMES[0], "run/new.mp4")
    assert (shards / "shard-00000.tar").read_bytes() == first
    for name in (*NAMES, "run/new.mp4"):
        assert StoredVideo(place_of(shards, name)).seal == StoredVideo(store_path(store, name)).seal
    moving_store(store, NAMES[0], seed=9)
    spoilt = bytearray(store_path(store, NAMES[0]).read_bytes())
    spoilt[500] ^= 1
    store_path(store, NAMES[0]).write_bytes(spoilt)
    before = sorted(path.name for path in shards.iterdir())
    report = pack(store, shards)
    assert [name for name, _ in report.failures] == [NAMES[0]]
    assert NAMES[0] not in report.skipped
    assert sorted(path.name for path in shards.iterdir()) == before  # no empty shard


def test_a_store_is_not_packed_into_itself(store: Path) -> None:
    """New videos could not be prepared into it any more."""
    with pytest.raises(UsageError, match="is the store itself"):
        pack(store, store / ".." / store.name)


def test_a_dry_run_knows_what_is_packed(shards: Path) -> None:
    videos = [(Path("gone"), name) for name in (*NAMES, "run/new.mp4")]
    estimated = estimate_preparation(videos, shards)
    assert (estimated.prepared, estimated.frames) == (len(NAMES), 0)
    assert [name for name, _ in estimated.failures] == ["run/new.mp4"]


def test_a_shard_is_closed_when_it_is_full_and_an_interruption_costs_one(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    pack(store, whole, shard_bytes=1)
    append = packing._append

    def until_the_second(*arguments: object) -> object:
        if arguments[-1] == "shard-00001.tar":
            raise KeyboardInterrupt
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "_append", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        pack(store, out, shard_bytes=1)
    monkeypatch.undo()
    assert sorted(path.name for path in out.glob("[!.]*")) == ["shard-00000.tar", SHARDS_FILE]
    report = pack(store, out, shard_bytes=1)
    assert (len(report.done), len(report.skipped)) == (2, 1)
    tars = [f"shard-{number:05d}.tar" for number in range(3)]
    assert sorted(path.name for path in out.glob("*.tar")) == tars
    for tar in tars:
        assert (out / tar).read_bytes() == (whole / tar).read_bytes()


def test_a_damaged_video_is_left_out_and_named(store: Path, tmp_path: Path) -> None:
    damaged = store_path(store, NAMES[0])
    content = bytearray(damaged.read_bytes())
    content[500] ^= 1
    damaged.write_bytes(content)
    report = pack(store, tmp_path / "shards")
    ((name, reason),) = report.failures
    assert name == NAMES[0]
    assert reason.startswith(f"{damaged}: rgb/000000.jpg is damaged")
    assert check_stores(tmp_path / "shards").failures == ()
    with tarfile.open(tmp_path / "shards" / "shard-00000.tar") as tar:
        assert len(tar.getnames()) == 2


def test_a_damaged_shard_is_named(shards: Path) -> None:
    tar = shards / "shard-00000.tar"
    content = bytearray(tar.read_bytes())
    place = place_of(shards, NAMES[2])
    content[place.first + 500] ^= 1  # type: ignore[union-attr]
    tar.write_bytes(content)
    ((name, reason),) = check_stores(shards).failures
    assert name == NAMES[2]
    assert reason.startswith(f"{tar}: {NAMES[2]}: rgb/000000.jpg is damaged")
    assert "stresnet pack" in reason


@pytest.mark.parametrize("cut", [True, False])
def test_a_shard_that_is_cut_off_or_gone_is_packed_again(
    store: Path, shards: Path, cut: bool
) -> None:
    tar = shards / "shard-00000.tar"
    content = tar.read_bytes()
    tar.write_bytes(content[:20_000]) if cut else tar.unlink()
    with pytest.raises(StoreError, match="shard-00000"):
        StoredVideo(place_of(shards, NAMES[2])).verify()
    report = pack(store, shards)
    assert report.done
    for name in NAMES:
        StoredVideo(place_of(shards, name)).verify()


def test_a_damaged_index_of_shards_is_named(shards: Path) -> None:
    (shards / SHARDS_FILE).write_bytes(b"no database")
    with pytest.raises(StoreError, match=r"shards\.sqlite: is damaged"):
        place_of(shards, NAMES[0])


def test_an_index_from_elsewhere_names_no_other_files(shards: Path) -> None:
    with closing(sqlite3.connect(shards / SHARDS_FILE)) as opened, opened:
        opened.execute("UPDATE videos SET shard = '../store/secret'")
    with pytest.raises(StoreError, match="is not a shard's name"):
        place_of(shards, NAMES[0])


def test_shards_are_copied_to_this_machine_once(store: Path, shards: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    here = cached(shards, cache)
    assert here.parent == cache
    for name in NAMES:
        StoredVideo(place_of(here, name)).verify()
    (shards / "shard-00000.tar").rename(shards / "away")
    (shards / "away").rename(shards / "shard-00000.tar")
    (here / "shard-00000.tar").touch()
    told = (here / "shard-00000.tar").stat().st_mtime_ns
    assert cached(shards, cache) == here
    assert (here / "shard-00000.tar").stat().st_mtime_ns == told
    (here / "shard-00000.tar").write_bytes(b"cut off")
    StoredVideo(place_of(cached(shards, cache), NAMES[0])).verify()
    assert cached(shards, None) == shards
    with pytest.raises(UsageError, match="stresnet pack"):
        cached(store, cache)


def test_shards_are_not_packed(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shards already"):
        pack(shards, tmp_path / "again")
