"""What appearance and motion a network has learned for a class (Feichtenhofer, Pinz, Wildes and
Zisserman, CVPR 2018): ascent of a class on both inputs together, starting from noise.

They maximise a class unit less two regularisers, here

    R_TV = 1/2 sum kappa ((dx)^2 + (dy)^2) + chi (dt)^2      variation over space and time
    R_B  = 1/2 sum x^2                                       keeps colours and speeds usual

with weights kappa for smoothness in space and chi for smoothness over the chunk's L flow fields. At
chi = 0 motion may change from field to field as fast as it likes; at a large chi it is steady.

Two things differ. The margin replaces the class unit, so that what all classes like does not win.
And where they add gradients, a step here goes straight to the point at which the regularisers
balance the margin's gradient g: x_g = (1 - kappa (Dxx + Dyy) - chi Dtt)^-1 g, solved by a Fourier
transform over space and time, which wrap around, and scaled to a root mean square of one:

    x <- (1 - r) x + r x_g

So no weight is too large for the step, and each means the same for any network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stresnet.data.store.jpeg import encode_rgb
from stresnet.drawing import Picture, draw_text, resized
from stresnet.errors import UsageError
from stresnet.explanation.class_activation_map import class_index, fixed, margin_weights
from stresnet.files import atomic_write
from stresnet.flow.colour import to_colour
from stresnet.flow.quantize import BOUND
from stresnet.model import STResNet, load_model
from stresnet.model.st_resnet import FLOW_FIELDS
from stresnet.model.stream import POOL_WINDOW

STEPS = 60
SPATIAL, FAST_MOTION, SLOW_MOTION = 10.0, 0.0, 100.0  # kappa, and two values of chi
RATE = 0.1  # r
NOISE = 0.1  # root mean square of the start
JITTER = 8  # pixels, at most, that the picture is shifted by in a step
USUAL_SPEED = 3.0  # pixels per frame
SIDE = 224  # pixels of a drawn picture
FIELDS = (0, 3, 6, 9)  # of the L flow fields, those that are drawn
FULL_COLOUR = 99  # percentile of speed at which a flow picture's colour is full


@dataclass(frozen=True, eq=False)
class ClassPicture:
    """What a network takes for the best example of a class.

    Attributes:
        rgb: (H,W,3) uint8.
        flow: (L,2,H,W) float32, pixels per frame, x then y: the chunk's fields in order.
        margin: of this picture: the class's unnormalised score above the mean of the others'.
        start: the same of the noise that it began with.
        spatial, temporal: kappa and chi.
        seed: of noise and jitter.
    """

    label: str
    rgb: NDArray[np.uint8]
    flow: NDArray[np.float32]
    margin: float
    start: float
    spatial: float
    temporal: float
    seed: int


def maximise(
    model: STResNet | str | Path,
    label: str,
    *,
    spatial: float = SPATIAL,
    temporal: float = FAST_MOTION,
    steps: int = STEPS,
    seed: int = 0,
    device: str = "auto",
) -> ClassPicture:
    """Draw the picture and the motion that a network likes best for a class.

    The chunk is shown once; to a network that pools over 5 chunks, 5 times, as an action that
    repeats itself.

    Args:
        model: a network, or what `load_model` takes.
        spatial, temporal: weights of smoothness, 0 or more.
        steps: of gradient ascent.
        seed: 0 or more; the same seed gives the same picture.
        device: "auto", "cpu", "cuda" or "cuda:N"; a network that is given stays where it is.

    Raises:
        UsageError: there is no such class, or an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    for name, value in (("spatial", spatial), ("temporal", temporal), ("seed", seed)):
        if not value >= 0:
            raise UsageError(f"{name} is {value}, expected 0 or more")
    if steps < 1:
        raise UsageError(f"{steps} steps, expected 1 or more")
    net = fixed(model if isinstance(model, STResNet) else load_model(model, device=device))
    index = class_index(net, label)
    weights = torch.from_numpy(margin_weights(net.config["num_classes"], index)).to(net.device) / 2
    chunks = POOL_WINDOW if net.appearance.temporal_pool else 1

    def margin(rgb: Tensor, flow: Tensor) -> Tensor:
        """The class's margin for rgb (1,3,H,W) and flow (L,2,H,W), both without bounds."""
        flow_bytes = 128 + 255 / (2 * BOUND) * in_pixels(flow).flatten(0, 1)
        streams = net(
            in_bytes(rgb).expand(1, chunks, -1, -1, -1), flow_bytes.expand(1, chunks, -1, -1, -1)
        )
        return torch.stack([scores.mean((0, 1)) @ weights for scores in streams]).sum()

    side = net.config["input_size"]
    random = torch.Generator().manual_seed(seed)
    inputs = [
        (NOISE * torch.randn(*shape, side, side, generator=random)).to(net.device).requires_grad_()
        for shape in ((1, 3), (FLOW_FIELDS, 2))
    ]
    start = float(margin(*inputs).detach())
    for _ in range(steps):
        shift = torch.randint(-JITTER, JITTER + 1, (2,), generator=random).tolist()
        gradients = torch.autograd.grad(margin(*(x.roll(shift, (-2, -1)) for x in inputs)), inputs)
        with torch.no_grad():
            for x, gradient in zip(inputs, gradients, strict=True):
                towards = smoothed(gradient, spatial, temporal)
                x.lerp_(towards / _rms(towards), RATE)
    rgb, flow = (x.detach() for x in inputs)
    return ClassPicture(
        label=label,
        rgb=in_bytes(rgb)[0].round().byte().permute(1, 2, 0).cpu().numpy(),
        flow=in_pixels(flow).cpu().numpy(),
        margin=float(margin(rgb, flow)),
        start=start,
        spatial=spatial,
        temporal=temporal,
        seed=seed,
    )


def write_class_pictures(pictures: Sequence[ClassPicture], folder: str | Path) -> None:
    """Write class.jpg, where each picture has a row: appearance and four flow fields; and
    class.json.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    with atomic_write(Path(folder) / "class.jpg") as path:
        path.write_bytes(encode_rgb(np.concatenate([_row(picture) for picture in pictures])))
    numbers = [
        {
            **{name: getattr(picture, name) for name in
               ("label", "margin", "start", "spatial", "temporal", "seed")},
            "speed": float(np.hypot(picture.flow[:, 0], picture.flow[:, 1]).mean()),
        }
        for picture in pictures
    ]  # fmt: skip
    with atomic_write(Path(folder) / "class.json") as path:
        path.write_text(json.dumps(numbers, ensure_ascii=False, indent=1), encoding="utf-8")


def _row(picture: ClassPicture) -> Picture:
    """(SIDE, 5 SIDE, 3): appearance, then flow fields in the colours of their directions."""
    speed = np.hypot(picture.flow[:, 0], picture.flow[:, 1])
    full = float(np.percentile(speed, FULL_COLOUR)) or 1.0
    drawn = [picture.rgb, *to_colour(picture.flow[list(FIELDS)], full)]
    row = np.concatenate([resized(each, SIDE, SIDE) for each in drawn], axis=1)
    draw_text(row, f"{picture.label}: appearance", 0, 0, size=12)
    draw_text(row, f"flow, temporal {picture.temporal:g}", SIDE, 0, size=12)
    return row


def smoothed(gradient: Tensor, spatial: float, temporal: float) -> Tensor:
    """(1 - kappa (Dxx + Dyy) - chi Dtt)^-1 of a gradient (N,C,H,W), N along time; all wrap."""
    time, down, right = (
        # The eigenvalue of a second difference at each frequency.
        2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(size, device=gradient.device))
        for size in (gradient.shape[0], *gradient.shape[2:])
    )
    stiffness = 1 + spatial * (down[:, None] + right) + temporal * time[:, None, None, None]
    waves = torch.fft.fftn(gradient, dim=(0, 2, 3)) / stiffness
    smooth: Tensor = torch.fft.ifftn(waves, dim=(0, 2, 3)).real
    return smooth


def in_bytes(rgb: Tensor) -> Tensor:
    """Map numbers without bounds to 0 ... 255, with grey at 0."""
    return 127.5 * (1 + rgb.tanh())


def in_pixels(flow: Tensor) -> Tensor:
    """Map numbers without bounds to pixels per frame within +-BOUND; 1 is about the usual speed."""
    return BOUND * (flow * (USUAL_SPEED / BOUND)).tanh()


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt().clamp(min=1e-20)
