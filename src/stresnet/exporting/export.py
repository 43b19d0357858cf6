"""Write a network in another format, but only if the file gives the network's scores.

    STResNet -> torch.export's program -> file -> run again on real clips -> kept, or refused

The file's inputs are bytes: `rgb` (B,T,3,H,W) and `flow` (B,T,2L,H,W); its outputs `appearance` and
`motion`, logits (B,T',K) each. B is free, and T from 2 on (ST-ResNet*: from 7, for 2 T'); H and W
are fixed, as the tracer cannot solve for the shapes that pool1 rounds up. Class names, preparation
and architecture are in the file's metadata.
"""

from __future__ import annotations

import copy
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stresnet.data.loading.dataset import testing_chunks
from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import prepared_like
from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.exporting.formats import FORMATS, Format, captured
from stresnet.files import atomic_write
from stresnet.model import STResNet, load_model
from stresnet.model.st_resnet import FLOW_FIELDS

TOLERANCE = 1e-4  # greatest difference of a logit, relative to the greatest logit
CLIPS = Path(__file__).parents[1] / "assets" / "clips"
SHIPPED = (CLIPS / "fight" / "fi014.mp4", CLIPS / "noFight" / "nofi018.mp4")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """How well a written file agrees with its network.

    Attributes:
        file: what was written.
        clips: names of those that were compared.
        difference: greatest difference of a logit, relative to the greatest logit of its clip.
    """

    file: Path
    clips: tuple[str, ...]
    difference: float


@dataclass(frozen=True)
class Clip:
    """What a file is tried on: rgb (B,T,3,H,W) and flow (B,T,2L,H,W), bytes."""

    name: str
    rgb: Tensor
    flow: Tensor


def export_model(
    model: STResNet | str | Path,
    to: str,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    clips: Sequence[str | Path] = (),
) -> Agreement:
    """Write a network as one of `FORMATS`; nothing is written unless the scores agree.

    The network is traced and compared in float32 on the CPU, and stays as and where it is.

    Args:
        model: a network with class names, or what `load_model` takes.
        to: the format's name.
        out: the file.
        size: H and W of the frames that the file takes, px. None: the network's training crop.
        clips: videos on which scores are compared, in addition to noise. None given: two that ship
            with the package.

    Raises:
        UsageError: there is no such format, its suffix is another, the size is too small, or the
            network has no class names.
        WeightsError: the model cannot be used.
        VideoError: a clip cannot be read.
        EnvironmentProblem: an optional package is missing, the folder cannot be written, or the
            file's scores differ from the network's.
    """
    form, out = _format_for(to, Path(out)), Path(out)
    form.require()
    if isinstance(model, STResNet):
        net = copy.deepcopy(model).cpu().eval()
    else:
        net = load_model(model, device="cpu")
    names = net.require_class_names()
    side = net.config["input_size"]
    height, width = size or (side, side)
    facts = {
        "class_names": json.dumps(list(names), ensure_ascii=False),
        "preparation": json.dumps(net.preparation),
        "architecture": json.dumps(net.config),
        "size": json.dumps([height, width]),
        "stresnet": json.dumps(version("stresnet")),
    }
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        logger.info(f"tracing the network for frames of {height}x{width} px")
        program = captured(net, height, width)
        logger.info(f"writing {form.name}")
        file = Path(scratch) / out.name
        form.write(program, file, facts)
        compared, difference = [], 0.0
        run = form.opened(file)
        for clip in (
            *random_clips(height, width),
            *real_clips(clips or SHIPPED, height, width, net),
        ):
            scores = torch.stack(tuple(run(clip.rgb, clip.flow)))
            difference = max(difference, _disagreement(scores, net, clip))
            compared.append(clip.name)
            logger.info(f"{clip.name}: same scores")
        with atomic_write(out) as partial:
            shutil.copyfile(file, partial)
    return Agreement(out, tuple(compared), difference)


def random_clips(height: int, width: int) -> Iterator[Clip]:
    """Make noise in two shapes: the numbers of videos and of chunks are free."""
    random = torch.Generator().manual_seed(0)
    for videos, chunks in ((1, 7), (3, 9)):
        rgb, flow = (
            torch.randint(
                256, (videos, chunks, channels, height, width), dtype=torch.uint8, generator=random
            )
            for channels in (3, 2 * FLOW_FIELDS)
        )
        yield Clip(f"noise, {videos}x{chunks} chunks", rgb, flow)


def real_clips(
    paths: Sequence[str | Path], height: int, width: int, net: STResNet
) -> Iterator[Clip]:
    """Read 25 chunks of each video, whole frames resized to HxW px.

    Raises:
        VideoError: a clip cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        for path in map(Path, paths):
            stored = prepare_video(
                path, Path(scratch) / "clip.zip", **prepared_like(net.preparation)
            )
            seen = testing_chunks(stored, size=min(height, width))
            rgb, flow = _resized(seen.rgb, height, width), _resized(seen.flow, height, width)
            yield Clip(path.name, rgb, flow)


def _resized(chunks: Tensor, height: int, width: int) -> Tensor:
    """(T,C,h,w) -> (1,T,C,H,W); not exact for flow, but good enough to compare scores on."""
    resized = F.interpolate(chunks.float(), (height, width), mode="bilinear", antialias=True)
    return resized.round().byte()[None]


def _format_for(to: str, out: Path) -> Format:
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}", remedy=f"choose from {', '.join(FORMATS)}")
    form = FORMATS[to]
    if out.suffix != form.suffix:
        raise UsageError(
            f"{out}: expected a file name that ends in {form.suffix}",
            remedy=f"write to {out.with_suffix(form.suffix).name}",
        )
    return form


def _disagreement(scores: Tensor, net: STResNet, clip: Clip) -> float:
    """Greatest difference of scores, (2,B,T',K), from eager float32, relative to the greatest.

    Raises:
        EnvironmentProblem: it is too great, or the best class is another.
    """
    with torch.inference_mode():
        expected = torch.stack(net(clip.rgb, clip.flow))
    difference = float((scores - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE or not torch.equal(_best(scores), _best(expected)):
        raise EnvironmentProblem(
            f"{clip.name}: the exported scores differ from the network's by {difference:.1e}, "
            f"relative to the greatest logit; the tolerance is {TOLERANCE:.0e}; nothing was "
            "written",
            remedy="try another version of the format's package",
        )
    return difference


def _best(scores: Tensor) -> Tensor:
    """(2,B,T',K) -> (B,), the class of both streams together."""
    return scores.mean((0, 2)).argmax(-1)
