"""Object stores: the same bytes as on a disk, whole objects, and no address for a decoder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import stresnet.cloud as cloud
import stresnet.data.prepare.job as job_module
from making_stores import contents, without_processes
from making_videos import moving_texture, write_video
from stresnet.data.prepare.many import prepare
from stresnet.data.store.check import check_stores
from stresnet.data.store.index import place_of
from stresnet.data.store.location import default_store
from stresnet.data.store.pack import cached, pack
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, UsageError
from stresnet.files import address_of, require_writable
from stresnet.flow import TVL1Parameters

QUICK: dict[str, Any] = {
    "parameters": TVL1Parameters(scales=1, warps=1, iterations=3),
    "short_side": 32,
}
NAMES = ("run/a.mp4", "walk/b.mp4")


@pytest.fixture
def memory() -> Iterator[Any]:
    """An object store in this process's memory."""
    system = fsspec.filesystem("memory")
    yield system
    for path in system.find("/"):
        system.rm_file(path)


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_processes(monkeypatch)
    for seed, name in enumerate(NAMES):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True)
        write_video(path, moving_texture(3, 32, 32, seed=seed))
    (tmp_path / "videos" / "broken.mp4").write_text("no video")
    return tmp_path / "videos"


def put(system: Any, folder: Path, at: str) -> None:
    for path in folder.rglob("*.*"):
        system.put_file(str(path), f"{at}/{path.relative_to(folder).as_posix()}")


def got(system: Any, at: str) -> dict[str, bytes]:
    found = {name.partition(f"{at}/")[2]: system.cat_file(name) for name in system.find(at)}
    return {name: content for name, content in found.items() if not name.startswith("index")}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all objects that are fetched."""
    names: list[str] = []
    fetch = cloud.fetch

    def spy(path: Path, target: Path) -> None:
        names.append(path.name)
        fetch(path, target)

    monkeypatch.setattr(cloud, "fetch", spy)
    return names


def whole_way(system: Any, root: str, videos: Path, tmp_path: Path, fetched: list[str]) -> None:
    """Videos, prepared videos and shards in an object store; then read from a copy."""
    inside = root.partition("://")[2]
    put(system, videos, f"{inside}/videos")
    store, shards = Path(f"{root}/store"), Path(f"{root}/shards")
    report = prepare(Path(f"{root}/videos"), store, **QUICK)
    here = prepare(videos, tmp_path / "here", **QUICK)
    assert report.done == here.done == NAMES
    reason = dict(report.failures)["broken.mp4"]
    assert reason == dict(here.failures)["broken.mp4"].replace(str(videos), f"{root}/videos")
    there = got(system, f"{inside}/store")
    told = there.pop("failures.csv").decode()
    assert f"{root}/videos/broken.mp4" in told
    expected = contents(tmp_path / "here")
    expected.pop("failures.csv")
    assert there == expected
    fetched.clear()
    assert prepare(Path(f"{root}/videos"), store, **QUICK).skipped == NAMES
    assert sorted(fetched) == ["broken.mp4", "failures.csv", "index.sqlite"]

    assert pack(store, shards).done == NAMES
    assert pack(store, shards).skipped == NAMES
    local = cached(shards, tmp_path / "cache")
    for name in NAMES:
        StoredVideo(place_of(local, name)).verify()
    assert prepare([(videos / name, name) for name in NAMES], local, **QUICK).skipped == NAMES


def test_the_whole_way_through_an_object_store(
    memory: Any, videos: Path, tmp_path: Path, fetched: list[str]
) -> None:
    whole_way(memory, "memory://data", videos, tmp_path, fetched)


def test_what_changed_is_prepared_again(memory: Any, videos: Path) -> None:
    put(memory, videos, "/videos")
    place, store = Path("memory://videos"), Path("memory://store")
    prepare(place, store, **QUICK)
    write_video(videos / NAMES[0], moving_texture(4, 32, 32, seed=5))
    put(memory, videos, "/videos")
    memory.rm_file("/store/walk/b.mp4.zip")
    assert prepare(place, store, **QUICK).done == NAMES


def test_a_list_of_failures_goes_when_they_are_repaired(memory: Any, videos: Path) -> None:
    put(memory, videos, "/videos")
    prepare(Path("memory://videos"), Path("memory://store"), **QUICK)
    assert memory.exists("/store/failures.csv")
    memory.rm_file("/videos/broken.mp4")
    prepare(Path("memory://videos"), Path("memory://store"), **QUICK)
    assert not memory.exists("/store/failures.csv")


def test_an_interruption_leaves_whole_objects_and_the_index(
    memory: Any, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (videos / "broken.mp4").unlink()
    put(memory, videos, "/videos")
    place, store = Path("memory://videos"), Path("memory://store")
    real = job_module.prepare_video

    def until_the_second(video: Path, *arguments: Any, **options: Any) -> StoredVideo:
        if video.name == "b.mp4":
            raise KeyboardInterrupt
        return real(video, *arguments, **options)

    monkeypatch.setattr(job_module, "prepare_video", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        prepare(place, store, **QUICK)
    assert sorted(memory.find("/store")) == ["/store/index.sqlite", "/store/run/a.mp4.zip"]
    monkeypatch.setattr(job_module, "prepare_video", real)
    report = prepare(place, store, **QUICK)
    assert (report.done, report.skipped) == (NAMES[1:], NAMES[:1])


def test_what_makes_no_sense_is_refused(memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/store/a.mp4.zip", b"PK")
    with pytest.raises(UsageError, match="--cache DIR"):
        cached(Path("memory://store"), None)
    with pytest.raises(UsageError, match="stresnet pack memory://store --out SHARDS"):
        cached(Path("memory://store"), tmp_path)
    with pytest.raises(UsageError, match="--store"):
        default_store(Path("memory://store"))
    with pytest.raises(UsageError, match="from a disk"):
        check_stores(Path("memory://store"))
    with pytest.raises(UsageError, match="a commit"):
        prepare([(tmp_path, "a.mp4")], Path("hf://datasets/me/set"))
    with pytest.raises(UsageError, match="object store"):
        require_writable(Path("s3://bucket/runs"))
    with pytest.raises(DatasetError, match="memory://nothing: there are no videos"):
        prepare(Path("memory://nothing"), tmp_path / "store")


def test_a_path_holds_an_address() -> None:
    assert address_of(Path("s3://bucket") / "a" / "b.mp4") == "s3://bucket/a/b.mp4"
    assert address_of("hf://datasets/me/set") == "hf://datasets/me/set"
    for path in ("/data/s3:/x", "data", "https://host/x", "C:/data", ""):
        assert address_of(path) is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'stresnet\[cloud\]'"):
        cloud.fetch(Path("gs://bucket/a"), tmp_path / "a")


@pytest.mark.slow
def test_the_whole_way_through_s3(
    videos: Path, tmp_path: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a server on this machine, which answers as Amazon's does."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    s3 = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    try:
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("bucket")
        whole_way(system, "s3://bucket/data", videos, tmp_path, fetched)
        with pytest.raises(EnvironmentProblem, match="s3://other/x"):
            cloud.send(videos / NAMES[0], Path("s3://other/x"))
    finally:
        s3.stop()
