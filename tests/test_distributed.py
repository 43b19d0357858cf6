"""Several processes compute what one computes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from stresnet.errors import UsageError
from stresnet.model import SubBatchNorm, commit_running_moments
from stresnet.model.sub_batch_norm import collected_moments
from stresnet.training import loop
from stresnet.training.checkpoint import weights_of
from stresnet.training.distributed import distributed_context
from stresnet.training.loading import GroupSampler
from stresnet.training.loop import groups_a_step
from tiny_data import toy_store
from toy_training import PHASE, Items, different, in_child, make_net, make_run, trained


def as_torchrun(work: Callable[[int], object], processes: int) -> list[int | None]:
    """Run work(rank) in processes with torchrun's environment; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def process(rank: int) -> None:
        os.environ |= {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
        }
        torch.set_num_threads(1)
        work(rank)

    return in_child(*(partial(process, rank) for rank in range(processes)))


@pytest.fixture
def items(tmp_path: Path) -> Items:
    return toy_store(tmp_path / "store")


def test_a_killed_rank_and_a_relaunch_give_what_one_process_gives(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bitwise: one process with two groups a step, and two processes with one each."""
    torch.set_num_threads(1)
    alone = trained(make_run(items, tmp_path / "alone"))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    commit = loop.commit_running_moments
    steps = 0

    def kill_in_third_step(learner: torch.nn.Module) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(learner)

    def work(rank: int, killed: bool) -> None:
        if killed and rank == 1:
            loop.commit_running_moments = kill_in_third_step
        with distributed_context("cpu") as context:
            net = make_net()
            loop.train_phase(net, make_run(items, tmp_path / "both", context=context))
            torch.save(net.state_dict(), tmp_path / f"{rank}.pt")

    first, second = as_torchrun(partial(work, killed=True), 2)
    assert second == -signal.SIGKILL
    assert first not in (0, None)  # its partner is gone: it ends, and does not wait
    assert not (tmp_path / "0.pt").exists()

    assert as_torchrun(partial(work, killed=False), 2) == [0, 0]
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert not different(alone, state)
    rows = (tmp_path / "both" / "log.csv").read_text().splitlines()
    assert len(rows) == 1 + PHASE.iterations


def test_a_signal_to_one_rank_stops_all_at_the_same_step(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group_loss = loop.group_loss
    calls = 0

    def signalled(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return group_loss(*arguments)  # type: ignore[arg-type]

    def work(rank: int) -> None:
        if rank == 1:
            loop.group_loss = signalled
        with distributed_context("cpu") as context:
            try:
                trained(make_run(items, tmp_path / "run", context=context))
            except loop.Interrupted as stopped:
                (tmp_path / f"{rank}.txt").write_text(str(stopped.exit_code))

    assert as_torchrun(work, 2) == [0, 0]
    run = make_run(items, tmp_path / "run")
    assert weights_of(run.checkpoint)[0] == 2
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == ["143", "143"]


def test_sums_are_taken_in_the_order_of_the_ranks(tmp_path: Path) -> None:
    """As one process would add: 1e8 + 1 - 1e8 is 0 in float32, in this order only."""

    def work(rank: int) -> None:
        with distributed_context("cpu") as context:
            total = context.all_reduce_in_order(torch.full((5,), [1e8, 1.0, -1e8][rank]))
            assert total.tolist() == [0.0] * 5
            assert context.gather_objects(rank) == [0, 1, 2]

    assert as_torchrun(work, 3) == [0, 0, 0]


def test_running_moments_are_shared() -> None:
    """Three processes with a group each give what one process gives, bit for bit."""
    groups = [torch.randn(6, 400, 5, 5) * 10**k for k in range(3)]
    alone = SubBatchNorm(400)
    for group in groups:
        alone(group)
    commit_running_moments(alone)

    def work(rank: int) -> None:
        norm = SubBatchNorm(400)
        norm(groups[rank])
        with distributed_context("cpu") as context:
            context.sum_in_order(collected_moments(norm))
        commit_running_moments(norm)
        for name, tensor in norm.state_dict().items():
            assert torch.equal(tensor, alone.state_dict()[name]), name

    assert as_torchrun(work, 3) == [0, 0, 0]


def test_groups_are_dealt_out_whole_and_once() -> None:
    keys = [[f"{step}{slot}" for slot in range(7)] for step in range(2)]
    alone = list(GroupSampler(keys, 3))  # type: ignore[arg-type]
    assert [(number, len(group)) for number, group in alone] == [(0, 3), (1, 3), (2, 1)] * 2
    shared = [list(GroupSampler(keys, 3, rank, 2)) for rank in range(2)]  # type: ignore[arg-type]
    assert [number for number, _ in shared[0]] == [0, 2, 0, 2]
    assert [number for number, _ in shared[1]] == [1, 1]
    assert sorted(shared[0] + shared[1]) == sorted(alone)


def test_processes_without_a_group_are_refused() -> None:
    assert groups_a_step(PHASE, 2) == 2
    with pytest.raises(UsageError, match="at most 2 processes"):
        groups_a_step(PHASE, 3)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from stresnet.training.distributed import distributed_context
from tiny_data import toy_store
from toy_training import make_net, make_run, trained
out = Path({out!r})
with distributed_context("cpu") as context:
    items = [(Path(p), k) for p, k in {items!r}]
    state = trained(make_run(items, out, context=context))
    if context.is_first:
        torch.save(state, out / "state.pt")
"""


@pytest.mark.slow
def test_torchrun(items: Items, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    alone = trained(make_run(items, tmp_path / "alone"))
    script = tmp_path / "script.py"
    named = [(str(path), label) for path, label in items]
    script.write_text(
        SCRIPT.format(tests=str(Path(__file__).parent), out=str(tmp_path / "both"), items=named)
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    subprocess.run([*torchrun, "--nproc-per-node=2", str(script)], check=True, timeout=600)
    state = torch.load(tmp_path / "both" / "state.pt", weights_only=True)
    assert not different(alone, state)
