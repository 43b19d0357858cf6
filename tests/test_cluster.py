"""The same jobs on Ray: the same bytes and reasons, whatever dies on the way."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stresnet.cluster as on_ray
from cluster_jobs import behave, take_the_worker_along, wait_and_tell
from making_videos import moving_texture, write_video
from stresnet.cluster import cluster
from stresnet.data.prepare.many import prepare
from stresnet.errors import EnvironmentProblem, JobError, UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.jobs import job_report
from stresnet.prediction.many import RecogniseOne, recognise_many
from stresnet.workers import map_in_processes

ray = pytest.importorskip("ray")
GONE = "its machine was lost (NodeDiedError), 8 times"
ASSETS = Path(on_ray.__file__).parent / "assets"


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """A head without processors, and two machines of one each, with half-shared stub GPUs."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (15 starves)
    hidden = os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray counts what it names
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), path])
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    machines.nodes = [machines.add_node(num_cpus=1, num_gpus=1) for _ in range(2)]
    yield machines
    os.environ["PYTHONPATH"] = path
    machines.shutdown()
    if hidden is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = hidden


def made(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        frames = moving_texture(4, seed=number)
        write_video(folder / f"{number}.mp4", frames)
    (folder / "broken.mp4").write_text("no video")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the record of what was verified, which has inodes."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "index.sqlite"
    }


@pytest.mark.slow
def test_prepares_the_same_bytes_and_each_engine_resumes_the_other(
    two_nodes: Any, tmp_path: Path
) -> None:
    videos = made(tmp_path / "videos")
    here = prepare(videos, tmp_path / "here")
    with cluster(two_nodes.address, tmp_path / "there") as engine:
        there = prepare(videos, tmp_path / "there", engine=engine)
        assert there == here
        assert content(tmp_path / "there") == content(tmp_path / "here")
        (tmp_path / "here" / "1.mp4.zip").unlink()
        assert prepare(videos, tmp_path / "here", engine=engine).done == ("1.mp4",)
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert len(prepare(videos, tmp_path / "there").skipped) == 3


@pytest.mark.slow
def test_what_fails_fails_with_the_words_of_one_machine(two_nodes: Any, tmp_path: Path) -> None:
    jobs = {job: job for job in ("a", "die", "raise", "crash", "b")}
    with cluster(two_nodes.address, tmp_path) as engine:
        there = dict(engine(behave, jobs))
    here = dict(map_in_processes(behave, jobs))
    assert {name: str(outcome) for name, outcome in there.items()} == {
        name: str(outcome) for name, outcome in here.items()
    }
    assert str(there["die"]) == "its process died (exit code -9)"


@pytest.mark.slow
def test_a_killed_worker_costs_a_second_try_and_no_more(two_nodes: Any, tmp_path: Path) -> None:
    jobs = {name: tmp_path / name for name in ("once", "always")}
    (tmp_path / "well").touch()
    jobs["well"] = tmp_path / "well"
    with cluster(two_nodes.address, tmp_path) as engine:
        report = job_report(engine(take_the_worker_along, jobs), tmp_path / "failures.csv")
    assert report.done == ("once", "well")
    assert report.failures == (("always", "its worker was killed, 2 times"),)


@pytest.mark.slow
def test_a_share_of_a_gpu_is_given(two_nodes: Any, tmp_path: Path) -> None:
    jobs = {str(number): tmp_path / str(number) for number in range(2)}
    with cluster(two_nodes.address, tmp_path, gpus=0.5) as engine:
        outcomes = dict(engine(wait_and_tell, jobs))
    assert [done.value for done in outcomes.values()] == ["0", "0"]


@pytest.mark.slow
def test_recognises_and_scores_as_one_machine_does(two_nodes: Any, tmp_path: Path) -> None:
    clips = [ASSETS / "clips" / name for name in ("fight/fi014.mp4", "noFight/nofi018.mp4")]
    one = RecogniseOne("fight", device="cpu")
    recognise_many(one, clips, tmp_path / "here", workers=1)
    data = tmp_path / "data.csv"
    data.write_text(
        "path,label,split\n" + "".join(f"{clip},{clip.parent.name},test\n" for clip in clips)
    )
    asked: dict[str, Any] = {"store": tmp_path / "store", "device": "cpu"}
    scored = evaluate("fight", data, **asked)
    with cluster(two_nodes.address, tmp_path) as engine:
        recognise_many(one, clips, tmp_path / "there", engine=engine)
        scored_there = evaluate("fight", data, engine=engine, **asked)
        again = recognise_many(one, clips, tmp_path / "there", engine=engine)
    assert len(again.skipped) == 2
    lines = [
        sorted(line for part in parts for line in part.read_text().splitlines())
        for parts in ((tmp_path / name).glob("part-*.jsonl") for name in ("here", "there"))
    ]
    assert lines[0] == lines[1]
    ours, theirs = (each.entries[0].results[0] for each in (scored, scored_there))
    assert ours.names == theirs.names
    for row in ours.scores:
        assert (ours.scores[row] == theirs.scores[row]).all()


@pytest.mark.slow
def test_a_machine_with_another_version_is_named_before_any_work(
    two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "2.7.18")
    with (
        pytest.raises(UsageError, match=r"Python is 3.*, here 2\.7\.18"),
        cluster(two_nodes.address, tmp_path),
    ):
        pass


@pytest.mark.slow
def test_a_killed_driver_leaves_what_is_done_and_one_machine_goes_on(
    two_nodes: Any, tmp_path: Path
) -> None:
    videos = made(tmp_path / "videos")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "stresnet", "prepare", str(videos), "--store", str(out)]
    driver = subprocess.Popen([*command, "--ray", two_nodes.address])
    until = time.monotonic() + 400
    while not list(out.glob("*.zip")) and time.monotonic() < until:
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert list(out.glob("*.zip"))
    time.sleep(5)  # its workers end
    report = prepare(videos, out)
    assert len(report.done) + len(report.skipped) == 3
    prepare(videos, tmp_path / "here")
    assert content(out) == content(tmp_path / "here")


@pytest.mark.slow
def test_a_machine_killed_in_the_middle_costs_time_only(two_nodes: Any, tmp_path: Path) -> None:
    jobs = {str(number): tmp_path / str(number) for number in range(4)}
    with cluster(two_nodes.address, tmp_path) as engine:
        outcomes = engine(wait_and_tell, jobs)
        first = next(outcomes)  # all workers are up
        two_nodes.remove_node(two_nodes.nodes.pop(), allow_graceful=False)
        others = dict(outcomes)
    assert {first[0], *others} == jobs.keys()
    assert not any(isinstance(outcome, Exception) for outcome in others.values())


@pytest.mark.parametrize(
    ("error", "tries", "reason"),
    [
        (lambda: ray.exceptions.OutOfMemoryError("full"), 2, "it took too much memory, 2 times"),
        (lambda: ray.exceptions.WorkerCrashedError(), 2, "its worker was killed, 2 times"),
        (
            lambda: ray.exceptions.NodeDiedError("gone"),
            8,
            "its machine was lost (NodeDiedError), 8 times",
        ),
    ],
    ids=["memory", "worker", "machine"],
)
def test_how_often_a_video_is_tried(
    error: Any, tries: int, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def get(reference: Any) -> Any:
        raise error()

    monkeypatch.setattr(ray, "get", get)
    machines = on_ray._Machines(tmp_path, largest=4)
    task = on_ray._Task("video", cpus=1)
    outcomes = [on_ray._outcome(None, task, machines) for _ in range(tries)]
    assert outcomes[:-1] == [None] * (tries - 1)
    assert isinstance(outcomes[-1], JobError)
    assert str(outcomes[-1]) == reason
    assert task.cpus == (4 if "memory" in reason else 1)  # the second try is alone on a machine


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "ray://127.0.0.1:10001", "head"):
        began = time.monotonic()
        with pytest.raises(UsageError, match="Ray cluster"), cluster(address, tmp_path):
            pass
        assert time.monotonic() - began < 10


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(EnvironmentProblem, match=r"pip install 'stresnet\[ray\]'"),
        cluster("local", tmp_path),
    ):
        pass


def test_a_machine_that_does_not_see_the_folder_differs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    unseen = on_ray._facts(str(marker), str(tmp_path))
    marker.touch()
    assert on_ray._facts(str(marker), str(tmp_path)) != unseen
