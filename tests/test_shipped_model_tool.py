"""The tool that makes the models that ship: the whole way, and its calibration."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loading_scripts import script
from making_videos import moving_texture, write_video
from stresnet.model import STResNet, load_model
from stresnet.model.weight_files import in_8_bits
from stresnet.training.recipes import QUICK, RECIPES

tool = script("tools/train_shipped_model.py")


def test_a_temperature_divides_the_scores_of_both_streams() -> None:
    torch.manual_seed(0)
    net = STResNet(3, "tiny", input_size=32).eval()
    rgb = torch.randint(0, 256, (1, 5, 3, 32, 32), dtype=torch.uint8)
    flow = torch.randint(0, 256, (1, 5, 20, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        before = net(rgb, flow)
        tool.divide_scores(net, 0.5)
        after = net(rgb, flow)
    for raw, divided in zip(before, after, strict=True):
        torch.testing.assert_close(divided, 2 * raw)


@pytest.fixture
def folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of eight clips in two folds, and a recipe `short` that trains for a moment."""
    phases = tuple(
        replace(phase, batch=2, norm_group=2, unit="iterations", schedule=((1e-3, 2),))
        for phase in QUICK.phases
    )
    short = replace(QUICK, name="short", depth="tiny", input_size=32, phases=phases)
    monkeypatch.setitem(RECIPES, "short", short)
    rows = [("path", "label", "source", "fold")]
    for number in range(8):
        label, step = (("left", -2), ("right", 2))[number % 2]
        frames = moving_texture(13, 48, 64, step=(step, 0), seed=number)
        write_video(tmp_path / f"{number}.mp4", frames)
        rows.append((f"{number}.mp4", label, f"s{number}", str(1 + number // 4)))
    with (tmp_path / "folds.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "folds.csv"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="all clips"),
        pytest.param(("--ships", "1"), id="one kept out", marks=pytest.mark.slow),
    ],
)
def test_from_a_list_of_clips_to_a_model_with_its_card(
    folds: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    out = folds.parent / "out"
    command = ["tool", folds, "mine", out, "--recipe", "short", "--network", "two_stream",
               "--store", folds.parent / "store", *options]  # fmt: skip
    monkeypatch.setattr(sys, "argv", [str(each) for each in command])
    tool.main()
    card = (out / "model" / "README.md").read_text()
    assert "| fold 2 (4 clips) |" in card
    assert ("fold 1 kept out" if options else "no clip kept out") in card
    trained = load_model(out / ("fold1" if options else "all") / "two_stream", device="cpu")
    ships = load_model(out / "model", device="cpu").state_dict()
    conv1 = trained.motion.conv1.weight.detach()
    whole, step = in_8_bits("conv1", conv1).values()
    assert torch.equal(ships["motion.conv1.weight"], whole * step)
    before, after = (trained.motion.classifier.weight.detach().flatten(),
                     ships["motion.classifier.weight"].flatten())  # fmt: skip
    assert torch.cosine_similarity(before, after, dim=0) > 0.999
