"""Laws of the training loop, on videos of a few pixels."""

from __future__ import annotations

import csv
import logging
import os
import signal
import time
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
import torch
from torch.amp.grad_scaler import GradScaler

import stresnet.training.runtime as execution_module
from stresnet.data.loading.dataset import SampleKey, StepSampler
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError, TrainingError, UsageError
from stresnet.model import STResNet, load_imagenet
from stresnet.model.residual_unit import ResidualUnit
from stresnet.model.temporal_convolution import TemporalConvolution
from stresnet.training import checkpoint, loading, loop
from stresnet.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint, weights_of
from stresnet.training.initialisation import RESNET50
from stresnet.training.interrupt import Interrupted
from stresnet.training.loading import GroupSampler, load_groups
from stresnet.training.log import RunLog
from stresnet.training.loop import group_loss, learner_of, optimizer_step
from stresnet.training.optimizer import make_optimizer, set_rate
from stresnet.training.recipes import RELEASED_CODE
from stresnet.training.runtime import Execution
from tiny_data import toy_store
from toy_training import (
    FP32,
    PHASE,
    RECIPE,
    Items,
    State,
    different,
    in_child,
    make_net,
    make_run,
    trained,
)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    return toy_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def undisturbed(items: Items, tmp_path_factory: pytest.TempPathFactory) -> State:
    return trained(make_run(items, tmp_path_factory.mktemp("undisturbed")))


# Exactness


@pytest.mark.parametrize(
    ("workers", "moment"),
    [
        (0, "checkpoint"),
        pytest.param(1, "step", marks=pytest.mark.slow),
        (2, "checkpoint"),
    ],
)
def test_a_killed_run_resumes_bitwise_equal(
    items: Items,
    undisturbed: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    moment: str,
) -> None:
    """kill -9 in step 3, or in the middle of its checkpoint."""
    run = make_run(items, tmp_path, workers=workers)

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_at_3(log: RunLog, step: int, values: object) -> None:
        if step == 3:
            kill()

    def kill_in_write(tensors: object, path: Path, metadata: dict[str, str]) -> None:
        if metadata["step"] == "3":
            path.write_bytes(b"half a checkpoint")
            kill()
        save(tensors, path, metadata=metadata)

    save = checkpoint.save_file
    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        if moment == "step":
            patch.setattr(RunLog, "row", kill_at_3)
        else:
            patch.setattr(checkpoint, "save_file", kill_in_write)
        assert in_child(lambda: trained(run)) == [-signal.SIGKILL]
    assert weights_of(run.checkpoint)[0] in (2, 3)
    assert not different(undisturbed, trained(run))


def test_a_run_of_adamw_in_float16_resumes_bitwise_equal(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second moments, step counts and the loss scale are kept, too."""
    recipe = replace(RECIPE, optimizer="adamw")
    phase = replace(PHASE, schedule=((1e-3, 3),))
    make = partial(
        make_run, items, phase=phase, recipe=recipe, execution=Execution(precision="fp16")
    )
    whole = trained(make(tmp_path / "whole"))
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    run = make(tmp_path / "crashed")

    def crash_at_2(log: RunLog, step: int, values: object) -> None:
        if step == 2:
            raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(RunLog, "row", crash_at_2)
        trained(run)
    assert not different(whole, trained(run))


def test_a_stopped_run_of_the_authors_moments_resumes_bitwise_equal(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = replace(PHASE, schedule=((1e-2, 3),))
    recipe = replace(RECIPE, running_moments="deviation")
    make = partial(make_run, items, phase=phase, recipe=recipe)
    whole = trained(make(tmp_path / "whole"))
    run = make(tmp_path / "stopped", workers=1)
    row = RunLog.row

    def stop_at_1(log: RunLog, step: int, values: dict[str, float]) -> None:
        row(log, step, values)
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(RunLog, "row", stop_at_1)
        trained(run)
    assert not different(whole, trained(run))
    assert not different(whole, trained(run))  # once more: the phase is finished
    finished, kept = weights_of(run.checkpoint)
    assert finished == phase.iterations
    assert not different(whole, kept)


def test_a_signal_writes_a_checkpoint_and_the_run_resumes_bitwise_equal(
    items: Items, undisturbed: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(items, tmp_path)
    row = RunLog.row

    def stop_at_2(log: RunLog, step: int, values: dict[str, float]) -> None:
        row(log, step, values)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "row", stop_at_2)
        with pytest.raises(Interrupted) as stopped:
            trained(run)
    assert stopped.value.exit_code == 143
    assert weights_of(run.checkpoint)[0] == 3
    assert time.monotonic() - began < 60
    assert not different(undisturbed, trained(run))

    with (run.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(PHASE.iterations))
    assert all(float(row["fused_loss"]) > 0 for row in rows)


def test_rows_that_were_cut_off_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "motion", 0, 30)
    log.row(0, {"loss": 1.0, "videos_per_second": 2.0})
    log.close()
    with (tmp_path / "log.csv").open("a") as file:
        file.write("motion,1")  # of 12, say
    RunLog(tmp_path, "motion", 12, 30).close()
    with (tmp_path / "log.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0"]


def test_a_line_holds_means_since_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = iter([0, 5, 11, 12, 13])
    watch = SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr("stresnet.training.log.time", watch)
    log = RunLog(tmp_path, "motion", 0, 4)
    for step, loss in enumerate((4.0, 2.0, 1.0, 0.0)):
        log.row(step, {"loss": loss})
    log.close()
    assert [message.split()[-1] for message in caplog.messages] == ["3", "0.5"]


@pytest.mark.parametrize("passed", ["forward", "backward"])
def test_a_signal_is_answered_within_a_group(
    items: Items, undisturbed: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: str
) -> None:
    """A group takes long on a slow machine: the pass ends at the next residual unit."""
    run = make_run(items, tmp_path)
    net, units_seen = make_net(), 0

    def signal_in_step_1(*_: object) -> None:
        nonlocal units_seen
        units_seen += 1
        if units_seen == 3:  # the second group of step 1
            os.kill(os.getpid(), signal.SIGTERM)

    unit, later = net.motion.conv3_x[0], net.motion.conv4_x[1]
    if passed == "forward":
        unit.register_forward_hook(signal_in_step_1)
    else:
        unit.register_full_backward_hook(signal_in_step_1)
    reached: list[int] = []
    after = later.conv1 if passed == "forward" else net.motion.conv2_x[0].conv1
    if passed == "forward":
        after.register_forward_hook(lambda *_: reached.append(units_seen))
    else:
        after.register_full_backward_hook(lambda *_: reached.append(units_seen))
    with pytest.raises(Interrupted):
        trained(run, net)
    assert 3 not in reached
    assert weights_of(run.checkpoint)[0] == 1
    assert not different(undisturbed, trained(run))


# What does not change the numbers


@pytest.mark.parametrize(
    "execution",
    [
        replace(FP32, recompute=True),
        replace(FP32, channels_last=False),
        pytest.param(replace(FP32, compiled=True), marks=pytest.mark.slow),
    ],
    ids=["recompute", "channels-last", "compiled"],
)
def test_the_numbers_do_not_depend_on_the_execution(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, execution: Execution
) -> None:
    """In float64, for so small a network is chaotic: it multiplies rounding a millionfold."""
    # Inductor would spend minutes on code; what is to be shown is that the graph is right.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    name: Literal["motion", "st_resnet"] = "motion" if execution.compiled else "st_resnet"
    phase = replace(PHASE, name=name, schedule=((1e-3, 1),))
    expected = trained(make_run(items, tmp_path / "plain", phase), make_net().double())
    found = trained(
        make_run(items, tmp_path / "other", phase, execution=execution), make_net().double()
    )
    if execution.recompute:
        assert not different(expected, found)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6, msg=key)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_rounds(
    items: Items,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: Literal["bf16", "fp16"],
) -> None:
    """Losses, classifier gradients and moments agree with float32's to a few per cent."""
    scaler = partial(GradScaler, init_scale=1.0)  # the first of many steps is not skipped
    monkeypatch.setattr(execution_module, "GradScaler", scaler)
    phase = replace(PHASE, schedule=((1e-3, 1),))

    def one_step(execution: Execution) -> tuple[State, float]:
        torch.manual_seed(0)
        net = STResNet(2, "small", input_size=32, appearance_dropout=0.5, motion_dropout=0.5)
        load_imagenet(net, RESNET50)
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        folder = tmp_path / execution.precision
        after = trained(make_run(items, folder, phase, execution=execution), net)
        with (folder / "log.csv").open() as file:
            loss = float(next(csv.DictReader(file))["loss"])
        return {name: tensor - before[name] for name, tensor in after.items()}, loss

    expected, loss = one_step(FP32)
    found, rounded_loss = one_step(Execution(precision=precision))
    assert rounded_loss == pytest.approx(loss, rel=0.1)
    for name, tolerance in (
        ("motion.classifier.bias", 0.15),
        ("appearance.classifier.bias", 0.15),
        ("appearance.conv3_x.1.bn2.running_var", 0.03),
        ("motion.conv3_x.1.bn2.running_var", 0.03),
    ):
        error = (found[name] - expected[name]).norm() / expected[name].norm()
        assert error < tolerance, (name, error)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch's own calls
def test_compiled_by_inductor(items: Items, tmp_path: Path) -> None:
    def without_dropout() -> STResNet:  # inductor draws other random numbers
        net = make_net().double()
        net.motion.dropout.p = 0.0
        return net

    phase = replace(PHASE, name="motion", schedule=((1e-3, 1),))
    expected = trained(make_run(items, tmp_path / "plain", phase), without_dropout())
    compiled = make_run(items, tmp_path / "other", phase, execution=replace(FP32, compiled=True))
    found = trained(compiled, without_dropout())
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6, msg=key)


def test_recomputing_ends_with_the_pass_that_asked_for_it() -> None:
    net = make_net()
    with replace(FP32, recompute=True).forward_of(net):
        assert "forward" in vars(net.motion.conv2_x[0])
    assert not any("forward" in vars(module) for module in net.modules())


def test_torch_s_random_state_is_the_caller_s(items: Items, tmp_path: Path) -> None:
    run, net = make_run(items, tmp_path, replace(PHASE, schedule=((1e-2, 1),))), make_net()
    before = torch.get_rng_state()
    trained(run, net)
    assert torch.equal(before, torch.get_rng_state())


def test_executions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="expected auto, fp32"):
        Execution(precision="32-true").resolved(torch.device("cpu"))
    with pytest.raises(UsageError, match="workers is -1"):
        Execution(workers=-1)
    with pytest.raises(UsageError, match="--recompute"):
        Execution(recompute=True, compiled=True)


def test_a_step_whose_float16_gradients_overflow_is_skipped(tmp_path: Path) -> None:
    net = torch.nn.Linear(1, 1)
    before = net.weight.clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    scaler = GradScaler("cpu", init_scale=1024.0)
    scaler.scale(net(torch.tensor([[float("inf")]])).sum()).backward()
    assert not optimizer_step(optimizer, scaler)
    assert torch.equal(net.weight, before)

    save_checkpoint(tmp_path / "a", TrainingState(net, optimizer, scaler), 7, "toy")
    restored = GradScaler("cpu")
    assert load_checkpoint(tmp_path / "a", TrainingState(net, optimizer, restored), "toy") == 7
    assert restored.get_scale() == scaler.get_scale() == 512.0


# What is learned


def test_training_learns(items: Items, tmp_path: Path) -> None:
    phase = replace(PHASE, schedule=((1e-2, 12),), batch=8, norm_group=8)
    trained(make_run(items, tmp_path, phase))
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for stream in ("appearance", "motion", "fused"):
        accuracies = [float(row[f"{stream}_accuracy"]) for row in rows]
        assert sum(accuracies[-4:]) / 4 > 0.8


@pytest.mark.parametrize("stream", ["motion", "appearance"])
def test_a_single_stream_phase_leaves_the_other_stream_alone(
    items: Items, tmp_path: Path, stream: str
) -> None:
    phase = replace(PHASE, name=stream, chunks=1, schedule=((1e-2, 1),))  # type: ignore[arg-type]
    before = make_net().state_dict()
    after = trained(make_run(items, tmp_path, phase))
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {stream}


def test_a_phase_of_one_stream_decodes_only_what_it_sees(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And sees the same chunks, crops and flips as if it had decoded all."""
    dataset = make_run(items, tmp_path).dataset
    key, settings = SampleKey(3, 1, 0), dataset.settings
    both = dataset[key]
    for modality, unseen in (("rgb", "flow"), ("flow", "frames")):
        dataset.settings = replace(settings, modality=modality)  # type: ignore[arg-type]
        with monkeypatch.context() as patch:
            patch.delattr(StoredVideo, unseen)
            one = dataset[key]
        assert torch.equal(getattr(one, modality), getattr(both, modality))
    assert one.rgb.shape == (PHASE.chunks, 3, 0, 0)


def test_the_released_code_s_recipe_differs_where_the_code_does() -> None:
    """Facts D1 to D10, on UCF101's 9537 training videos."""
    motion, appearance, st_resnet, star = RELEASED_CODE.phases
    assert [p.norm_group for p in RELEASED_CODE.phases] == [32, 32, 4, 4]
    assert (motion.batch, motion.dropout, appearance.dropout) == (128, 0.8, 0.0)
    assert [p.crop for p in (appearance, st_resnet, star)] == ["corner-grid"] * 3
    assert [p.shared_tau for p in (st_resnet, star)] == [True, True]
    assert RELEASED_CODE.double_rates
    assert RELEASED_CODE.running_moments == "deviation"
    assert RELEASED_CODE.chunk_loss == "sum"
    assert RELEASED_CODE.temporal_pool == "conv5"
    epochs = [100 * 9537 / 128, 10 * 9537 / 256, 10 * 9537 / 128, 9537 / 128]
    for phase, epoch, rates in zip(RELEASED_CODE.phases, epochs, (4, 6, 8, 300), strict=True):
        assert phase.iterations == pytest.approx(epoch * rates, rel=0.01)


def test_biases_and_gains_may_learn_twice_as_fast_and_do_not_decay() -> None:
    recipe = replace(RECIPE, double_rates=True, weight_decay=0.1)
    net = make_net()
    optimizer = make_optimizer(net, recipe, PHASE)
    set_rate(optimizer, 1e-2)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    unit = net.motion.conv2_x[0]
    assert found[id(unit.conv2.weight)] == (1e-2, 0.1)
    assert found[id(unit.bn2.weight)] == (2e-2, 0.0)
    assert found[id(unit.bn2.bias)] == (1e-2, 0.0)
    assert found[id(net.motion.classifier.weight)] == (1e-2, 0.1)
    assert found[id(net.motion.classifier.bias)] == (2e-2, 0.0)
    assert len(found) == len(list(net.parameters()))
    set_rate(make_optimizer(net, RECIPE, PHASE), 1e-2)


def test_what_is_not_new_may_learn_slowly_and_a_classifier_alone() -> None:
    net = STResNet(2, "tiny", input_size=32, residual_scale="channel")
    phase = replace(PHASE, name="st_resnet", pretrained_rate=0.1)
    optimizer = make_optimizer(net, replace(RECIPE, scale_rate=100.0), phase)
    set_rate(optimizer, 1e-4)
    rates = {
        id(parameter): group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for stream in (net.appearance, net.motion):
        unit = cast(ResidualUnit, stream.conv2_x[1])
        assert isinstance(unit.conv1, TemporalConvolution)
        assert rates[id(unit.conv1.weight)] == pytest.approx(1e-4)
        old = stream.conv1.weight, unit.conv2.weight, unit.bn2.weight, stream.classifier.weight
        assert [rates[id(weight)] for weight in old] == pytest.approx([1e-5] * len(old))
    assert rates[id(net.connections[0].scale)] == pytest.approx(1e-2)

    head = replace(PHASE, name="appearance", learns="classifier", fixed_norms=True)
    assert learner_of(net, head) is net.appearance
    learning = {name for name, p in net.appearance.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in learning} == {"classifier"}
    assert not net.appearance.bn1.training and net.motion.bn1.training


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


# Failures


def test_a_loss_that_is_not_finite_names_step_and_samples_and_keeps_the_last_good_state(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    run = make_run(items, tmp_path, replace(PHASE, schedule=((1e-2, 1), (1e30, 5))))
    with pytest.raises(TrainingError, match=r"loss is .* at iteration \d, on .*\.zip") as stopped:
        trained(run)
    assert "lower the learning rate" in stopped.value.remedy
    assert "holds the last good state" in stopped.value.remedy
    step, weights = weights_of(run.checkpoint)
    assert f"at iteration {step + 1}," in str(stopped.value)
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_weights_that_are_not_finite_do_not_end_a_phase(items: Items, tmp_path: Path) -> None:
    run = make_run(items, tmp_path, replace(PHASE, schedule=((1e38, 1),)))
    with pytest.raises(TrainingError, match=r"weights are not finite.*nothing was saved yet"):
        trained(run)
    assert not run.checkpoint.exists()


class Bad(StoredVideo):
    """A video whose frames never come, or kill who asks for them."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path)
        self.fault = fault

    def frames(self, indices: Any) -> Any:
        if self.fault == "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)


def test_a_loader_process_that_hangs_ends_the_run(
    items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LOADER_TIMEOUT", 2.0)
    run = make_run(items, tmp_path, workers=1, open_video=partial(Bad, fault="hanging"))
    with pytest.raises(TrainingError, match=r"loader process died or hung.*--workers 0"):
        trained(run)


def test_a_loader_process_that_dies_ends_the_run_at_once(items: Items, tmp_path: Path) -> None:
    run = make_run(items, tmp_path, workers=1, open_video=partial(Bad, fault="dead"))
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"loader process died or hung.*--workers 0"):
        trained(run)
    assert time.monotonic() - began < loading.LOADER_TIMEOUT / 2


def test_the_death_of_a_loader_process_does_not_raise_in_the_training_step(
    items: Items, tmp_path: Path
) -> None:
    run = make_run(items, tmp_path, workers=1)
    before = set(active_children())
    groups = load_groups(
        run.dataset, GroupSampler(StepSampler(len(items), 4, seed=0, last_step=10), 4), 1
    )
    next(groups)
    (loader,) = set(active_children()) - before
    loader.kill()
    loader.join()  # its SIGCHLD comes here
    time.sleep(0.1)
    with pytest.raises(TrainingError, match="exited with -9"):
        next(groups)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_video_is_named_without_a_traceback(tmp_path: Path, workers: int) -> None:
    items = toy_store(tmp_path / "store", videos=2)
    for path, _ in items:
        path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"\.zip") as stopped:
        trained(make_run(items, tmp_path / "run", workers=workers))
    assert "Traceback" not in str(stopped.value)


def test_a_finished_phase_is_not_trained_again(items: Items, tmp_path: Path) -> None:
    run = make_run(items, tmp_path, replace(PHASE, schedule=((1e-2, 1),)))
    first = trained(run)
    written = run.checkpoint.stat().st_mtime_ns
    assert not different(first, trained(run))
    assert run.checkpoint.stat().st_mtime_ns == written

    with pytest.raises(TrainingError, match="another recipe, seed or data set"):
        trained(replace(run, fingerprint="other"))
    run.checkpoint.write_bytes(b"not safetensors")
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        trained(run)
