"""Laws of the training loop, on videos of a few pixels."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from stresnet.data.chunks import ChunkDataset, ChunkSettings
from stresnet.data.store import StoredVideo
from stresnet.errors import TrainingError
from stresnet.model import STResNet
from stresnet.training import loop
from stresnet.training.log import RunLog
from stresnet.training.loop import PhaseRun, group_loss, train_phase
from stresnet.training.recipes import Phase, Recipe
from stresnet.training.stop import Interrupted
from tiny_data import toy_store

PHASE = Phase(
    name="st_resnet",
    schedule=((1e-2, 4), (1e-3, 2)),
    batch=4,
    norm_group=2,
    chunks=2,
    tau=(1, 3),
    crop="scale-jitter",
)
RECIPE = Recipe(name="toy", depth="tiny", input_size=32, phases=(PHASE,))


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    return toy_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def make_run(
    items: list[tuple[Path, int]], folder: Path, phase: Phase = PHASE, workers: int = 0
) -> PhaseRun:
    settings = ChunkSettings(phase.chunks, phase.tau, phase.crop, RECIPE.input_size)
    dataset = ChunkDataset(items, settings, seed=0, open_video=StoredVideo)
    folder.mkdir(exist_ok=True)
    return PhaseRun(RECIPE, phase, dataset, folder, "toy", seed=0, workers=workers)


def make_net() -> STResNet:
    torch.manual_seed(0)
    return STResNet(2, "tiny", input_size=32)


def trained(run: PhaseRun, fabric: Fabric) -> dict[str, torch.Tensor]:
    net = make_net()
    train_phase(net, run, fabric)
    return net.state_dict()


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert not different


def test_a_crashed_run_resumes_bitwise_equal(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = trained(make_run(items, tmp_path / "undisturbed"), fabric)

    class Crash(Exception):
        pass

    def crash_at_3(log: RunLog, step: int, values: dict[str, float]) -> None:
        if step == 3:
            raise Crash

    run = make_run(items, tmp_path / "crashed", workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(RunLog, "row", crash_at_3)
        with pytest.raises(Crash):
            train_phase(make_net(), run, fabric)
    assert_equal(undisturbed, trained(run, fabric))


def test_a_signal_writes_a_checkpoint_and_the_run_resumes_bitwise_equal(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = trained(make_run(items, tmp_path / "undisturbed"), fabric)
    run = make_run(items, tmp_path / "stopped")
    row = RunLog.row

    def stop_at_2(log: RunLog, step: int, values: dict[str, float]) -> None:
        row(log, step, values)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "row", stop_at_2)
        with pytest.raises(Interrupted) as stopped:
            train_phase(make_net(), run, fabric)
    assert stopped.value.exit_code == 143
    assert_equal(undisturbed, trained(run, fabric))

    with (run.folder / "log.csv").open() as file:
        assert [int(line["step"]) for line in csv.DictReader(file)] == list(range(6))


def test_training_learns(items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric) -> None:
    phase = replace(PHASE, schedule=((1e-2, 20),), batch=8, norm_group=8)
    run = make_run(items, tmp_path, phase)
    train_phase(make_net(), run, fabric)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for stream in ("appearance", "motion"):
        accuracies = [float(row[f"{stream}_accuracy"]) for row in rows]
        assert sum(accuracies[-5:]) / 5 > 0.85


@pytest.mark.parametrize("stream", ["motion", "appearance"])
def test_a_single_stream_phase_leaves_the_other_stream_alone(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric, stream: str
) -> None:
    phase = replace(PHASE, name=stream, chunks=1, schedule=((1e-2, 1),))
    before = make_net().state_dict()
    after = trained(make_run(items, tmp_path, phase), fabric)
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {stream}


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_iteration(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric
) -> None:
    phase = replace(PHASE, schedule=((1e20, 6),))
    with pytest.raises(TrainingError, match=r"loss is .* at iteration \d.*learning rate"):
        train_phase(make_net(), make_run(items, tmp_path, phase), fabric)


def test_a_finished_phase_is_not_trained_again(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric
) -> None:
    run = make_run(items, tmp_path)
    first = trained(run, fabric)
    written = run.checkpoint.stat().st_mtime_ns
    assert_equal(first, trained(run, fabric))
    assert run.checkpoint.stat().st_mtime_ns == written


def test_a_checkpoint_of_other_data_is_refused(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric
) -> None:
    trained(make_run(items, tmp_path), fabric)
    other = replace(make_run(items, tmp_path), fingerprint="other")
    with pytest.raises(TrainingError, match="another recipe, seed or data set"):
        trained(other, fabric)


def test_a_damaged_checkpoint_is_named(
    items: list[tuple[Path, int]], tmp_path: Path, fabric: Fabric
) -> None:
    run = make_run(items, tmp_path)
    run.checkpoint.write_bytes(b"not safetensors")
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        trained(run, fabric)


def test_losses_of_streams_are_summed_and_chunks_summed_or_averaged() -> None:
    torch.manual_seed(0)
    scores = {name: torch.randn(3, 4, 5) for name in ("appearance", "motion")}
    truth = torch.tensor([0, 3, 2])

    def by_hand(logits: torch.Tensor) -> torch.Tensor:  # (b,T,K) -> sum over videos and chunks
        return -logits.log_softmax(2)[torch.arange(3), :, truth].sum()

    total = sum(by_hand(logits) for logits in scores.values())
    summed = group_loss(scores, truth, replace(RECIPE, chunk_loss="sum"))
    averaged = group_loss(scores, truth, replace(RECIPE, chunk_loss="mean"))
    joint = group_loss(scores, truth, replace(RECIPE, chunk_loss="sum", joint_softmax=True))
    torch.testing.assert_close(summed, total)
    torch.testing.assert_close(averaged, total / 4)
    torch.testing.assert_close(joint, by_hand(scores["appearance"] + scores["motion"]))
