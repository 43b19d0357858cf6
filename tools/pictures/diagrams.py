"""Draw the network and what a chunk sees, from the code that does it.

python tools/pictures/diagrams.py       # docs/pictures/network.svg and chunks.svg
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch

from stresnet import STResNet
from stresnet.data.loading.sampling import flow_indices, training_centres
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model import count_parameters, receptive_fields
from stresnet.model.temporal_convolution import TemporalConvolution

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
APPEARANCE, MOTION, TIME, INK, QUIET = "#56b4e9", "#e69f00", "#009e73", "#222", "#666"


class Drawing:
    """An SVG on white, of one width and height in px."""

    def __init__(self, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="13">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
            f'fill="{fill}" stroke="{INK}" stroke-width="0.8"/>'
        )

    def line(self, *points: tuple[float, float], colour: str = QUIET, tip: bool = True) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#tip)"' if tip else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{end}/>'
        )

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        fill: str = INK,
        anchor: str = "middle",
        size: int = 13,
    ) -> None:
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}" '
            f'font-size="{size}">{text}</text>'
        )

    def save(self, name: str) -> None:
        (PICTURES / name).write_text("\n".join([*self._parts, "</svg>", ""]), encoding="utf-8")


def draw_network() -> None:
    """Both streams of ST-ResNet-50, their units, connections and temporal convolutions."""
    with torch.device("meta"):  # shapes without numbers
        net = STResNet(101).eval()
    shapes: dict[str, torch.Size] = {}
    for number, stage in enumerate(net.appearance.stages, start=2):
        stage[-1].register_forward_hook(
            lambda _, __, out, name=f"conv{number}_x": shapes.update({name: out.shape})
        )
    rgb, flow = (
        torch.zeros(1, 5, channels, 224, 224, device="meta") for channels in (3, 2 * FLOW_FIELDS)
    )
    net(rgb, flow)
    fields = receptive_fields(net)

    unit, gap, stage_gap, height = 20, 4, 40, 54
    rows = {"appearance": 58, "motion": 168}
    drawing = Drawing(850, 312)
    for name, top in rows.items():
        stream, colour = getattr(net, name), APPEARANCE if name == "appearance" else MOTION
        middle = top + height / 2
        seen = "a frame" if name == "appearance" else f"{FLOW_FIELDS} flow fields"
        drawing.words(10, top - 9, f"{name}: {seen}", anchor="start", size=11)
        x: float = 10
        drawing.box(x, top, 62, height, colour)
        drawing.words(x + 31, middle - 3, "conv1")
        drawing.words(x + 31, middle + 14, "pool1")
        x += 62
        for number, stage in enumerate(stream.stages, start=2):
            drawing.line((x, middle), (x + stage_gap - 2, middle))
            x += stage_gap
            start = x
            for each in stage:
                is_temporal = isinstance(each.conv1, TemporalConvolution)
                drawing.box(x, top, unit, height, TIME if is_temporal else colour)
                if is_temporal and name == "motion":
                    enters = x - gap / 2
                    turn = rows["appearance"] + height + 22
                    drawing.line((enters, middle), (enters, turn), (x + unit / 2, turn),
                                 (x + unit / 2, rows["appearance"] + height + 2))  # fmt: skip
                x += unit + gap
            x -= gap
            if name == "motion":
                centre, field = (start + x) / 2, fields[f"conv{number}_x"]
                _, channels, side, _ = shapes[f"conv{number}_x"]
                drawing.words(centre, top + height + 20, f"conv{number}_x")
                drawing.words(
                    centre, top + height + 38, f"{channels} x {side} x {side}", fill=QUIET, size=12
                )
                drawing.words(
                    centre, top + height + 55, f"sees {field.pixels} px,", fill=QUIET, size=12
                )
                drawing.words(
                    centre, top + height + 71, f"{field.chunks} chunks", fill=QUIET, size=12
                )
        for word in ("pool5", "classifier"):
            drawing.line((x, middle), (x + 26, middle))
            x += 28
            width = 7 * len(word) + 14
            drawing.box(x, top, width, height, colour)
            drawing.words(x + width / 2, middle + 4, word)
            x += width
        end = top + height / 2
        centre = (rows["appearance"] + rows["motion"] + height) / 2
        drawing.line((x, end), (x + 20, end), (x + 20, centre + (14 if name == "motion" else -14)))
    drawing.words(x + 20, centre + 4, "scores")
    temporal = sum(isinstance(each, TemporalConvolution) for each in net.modules())
    drawing.box(10, 12, 14, 14, TIME)
    meaning = f"residual unit whose 1x1 convolutions look along time ({temporal} convolutions)"
    drawing.words(30, 24, meaning, anchor="start")
    drawing.words(
        840, 24, f"{count_parameters(net):,} parameters, 101 classes", anchor="end", fill=QUIET
    )
    drawing.save("network.svg")


def draw_chunks() -> None:
    """T = 4 training chunks of a video of 44 frames, each with its frame and its flow fields."""
    frames, chunks, tau = 44, 4, 7
    centres = training_centres(frames, chunks, (tau, tau), np.random.default_rng(0))
    cell, left, top = 20, 60, 44
    drawing = Drawing(960, 170)

    def place(frame: float) -> float:
        return left + cell * frame

    for frame in range(frames):
        chosen = frame in centres
        drawing.box(place(frame) + 1, top, cell - 2, 26, APPEARANCE if chosen else "#eee")
        if chosen:
            drawing.words(place(frame) + cell / 2, top + 18, str(frame))
    drawing.words(left - 8, top + 18, "frames", anchor="end")
    drawing.words(left - 8, top + 60, "flow", anchor="end")
    for number, centre in enumerate(centres):
        fields = flow_indices(int(centre))
        y = top + 42 + 26 * (number % 2)
        for field in fields:  # field k leads from frame k to frame k + 1
            drawing.box(place(field + 0.5) + 1, y, cell - 2, 18, MOTION)
    for one, other in itertools.pairwise(centres):
        a, b = place(one) + cell / 2, place(other) + cell / 2
        drawing.line((a, top - 10), (b - 2, top - 10))
        drawing.words((a + b) / 2, top - 18, f"τ = {other - one}")
    first = place(flow_indices(int(centres[0]))[0] + 0.5)
    half = FLOW_FIELDS // 2
    meaning = (
        f"a chunk: a frame and the L = {FLOW_FIELDS} flow fields around it, "
        f"{half} before, {half} after"
    )
    drawing.words(first, top + 110, meaning, anchor="start", fill=QUIET)
    drawing.save("chunks.svg")


if __name__ == "__main__":
    draw_network()
    draw_chunks()
