"""The training benchmarks compare equal things, and count what they say they count."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from making_stores import moving_store
from stresnet.data.formats.layouts import Layout
from stresnet.data.formats.write import export
from stresnet.data.loading.dataset import SampleKey
from stresnet.model import STResNet
from stresnet.training.loop import group_loss
from stresnet.training.runtime import Execution
from toy_training import PHASE, RECIPE

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def imported() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a benchmark as it imports the others."""
    names = ("plain_training", "training", "loader", "memory")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in names:
        sys.modules.pop(name, None)


def test_loss_and_gradients_are_those_of_the_plain_implementation(
    imported: Callable[[str], ModuleType],
) -> None:
    plain_training: Any = imported("plain_training")
    torch.manual_seed(0)
    ours = STResNet(3, "tiny", input_size=64, rgb_mean=plain_training.IMAGENET_RGB_MEAN).train()
    plain = plain_training.PlainSTResNet(3, (2, 2, 2, 2), 24).train()
    plain.take_weights(ours)
    rgb = torch.randint(256, (4, 3, 3, 64, 64), dtype=torch.uint8)
    flow = torch.randint(256, (4, 3, 20, 64, 64), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 0])
    recipe = replace(RECIPE, chunk_loss="sum")

    means = torch.tensor(plain_training.IMAGENET_RGB_MEAN)[:, None, None]
    groups = [(rgb[at : at + 2] - means, flow[at : at + 2] - 128.0, labels[at : at + 2])
              for at in (0, 2)]  # fmt: skip
    still = torch.optim.SGD(plain.parameters(), lr=0.0)
    expected = plain_training.plain_step(plain, still, groups, 4)
    total = 0.0
    for at in (0, 2):
        appearance, motion = ours(rgb[at : at + 2], flow[at : at + 2])
        scores = {"appearance": appearance, "motion": motion}
        loss = group_loss(scores, labels[at : at + 2], recipe) / 4
        loss.backward()
        total += loss.item()

    assert total == pytest.approx(expected, rel=1e-5)
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, parameter in ours.named_parameters():
        wanted = gradients.pop(name).view_as(parameter)
        # Of the gradient's size: maxima and ReLUs that nearly tie may fall either way.
        assert (parameter.grad - wanted).norm() <= 1e-3 * wanted.norm() + 1e-6, name
    assert not gradients


def test_both_loaders_show_the_same_chunks(
    imported: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    loader: Any = imported("loader")
    names = ["still/a.avi", "moving/b.avi"]
    for seed, name in enumerate(names):
        moving_store(tmp_path / "store", name, step=(3 * seed, 0), frames=12, seed=seed)
    export(names, tmp_path / "store", tmp_path / "loose", Layout.AUTHORS, workers=1)
    ours, plain = loader.datasets(tmp_path, argparse.Namespace(chunks=2, size=32))
    means = torch.tensor(imported("plain_training").IMAGENET_RGB_MEAN)[:, None, None]
    flips = set()
    for slot in range(8):
        key = SampleKey(0, slot, slot % 2)
        rgb, flow, label = ours[key]
        plain_rgb, plain_flow, plain_label = plain[key]
        assert label == plain_label
        # Another filter at the edges of pixels, and 255 - x for the mirror image of x.
        assert (rgb - (plain_rgb + means)).abs().mean() < 4
        assert (flow - (plain_flow + 128)).abs().mean() < 2
        flips.add(bool(label == 0 and flow[:, 0::2].float().mean() < 128))
    assert flips == {False, True}


def test_memory_is_counted_alike_with_and_without_content(
    imported: Callable[[str], ModuleType],
) -> None:
    memory: Any = imported("memory")

    def step() -> torch.Tensor:
        x = torch.ones(1000, requires_grad=True)
        y = (x * 2).exp()  # the product goes, exp's result stays for its backward pass
        del x
        return y.sum()

    with memory.PeakMemory() as real:
        total = step()
        assert real.now == 4 * (1000 + 1000 + 1)
        del total
    assert real.now == 0 and real.peak >= 4 * 3000
    with memory.counting() as counted:
        step()
    assert (counted.now, counted.peak) == (0, real.peak)


@pytest.mark.slow
def test_recomputing_takes_less_memory_and_larger_groups_take_more(
    imported: Callable[[str], ModuleType],
) -> None:
    memory: Any = imported("memory")
    phase = replace(PHASE, chunks=2)
    recipe = replace(RECIPE, input_size=64, phases=(phase,))
    plain = Execution("cpu", "fp32", channels_last=False)
    base = memory.step_bytes(recipe, phase, plain)
    larger = memory.step_bytes(recipe, replace(phase, norm_group=4), plain)
    recomputed = memory.step_bytes(
        recipe, replace(phase, norm_group=4), replace(plain, recompute=True)
    )
    assert base < recomputed < larger


@pytest.mark.slow
def test_operations_are_proportional_to_videos(imported: Callable[[str], ModuleType]) -> None:
    training: Any = imported("training")
    options = {"depth": "tiny", "size": 64, "chunks": 2, "batch": 4, "group": 2, "steps": 2}
    once = training.counted(argparse.Namespace(**options))
    assert training.counted(argparse.Namespace(**options | {"batch": 8})) == 2 * once
    # A 7x7 stem over 23 channels is its forward and its filters' pass; nothing asks for more.
    assert once > 4 * 2 * 2 * 2 * 23 * 24 * 49 * 32 * 32
    product = training.product_seconds(torch.float32, iter(range(10**6)).__next__)
    assert product == pytest.approx(1 / (2 * 2048**3))


@pytest.mark.slow
def test_the_comparison_runs_and_prints_its_table(
    imported: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training: Any = imported("training")
    for seed, name in enumerate(("fight/a.avi", "calm/b.avi")):
        moving_store(tmp_path / "store", name, frames=12, seed=seed)
    export(["fight/a.avi", "calm/b.avi"], tmp_path / "store", tmp_path / "loose", Layout.AUTHORS)
    sizes = "--depth tiny --size 32 --chunks 2 --batch 2 --group 2 --steps 2 --threads 1"
    ways = ["--ways", "plain", "ours"]
    monkeypatch.setattr(sys, "argv", ["training.py", *sizes.split(), *ways, f"--data={tmp_path}"])
    training.main()
    said = capsys.readouterr().out
    assert "plain" in said and "ours" in said and "Gflop/s in bf16" in said


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_is_ready_for_one() -> None:
    options = ["--device", "cpu", "--small", "--rounds", "1"]
    found = subprocess.run(
        [sys.executable, FOLDER / "gpu.py", *options], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    for row in ("product of", "TV-L1 FAST", "chunks and mirror, fp32", "predict,", "training,"):
        assert row in found.stdout


@pytest.mark.slow
def test_the_benchmark_of_growing_work_runs(tmp_path: Path) -> None:
    options = ["--videos", "6", "--lengths", "100", "--repeats", "1", "--folder", str(tmp_path)]
    found = subprocess.run(
        [sys.executable, FOLDER / "growth.py", *options], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert "`train --resume`, 6 videos" in found.stdout
    assert "5 chunks of 100 frames" in found.stdout
