"""The tool that makes the models that ship: its calibration."""

from __future__ import annotations

import torch

from loading_scripts import script
from stresnet.model import STResNet

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
