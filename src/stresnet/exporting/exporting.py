"""Write a network in another format, and only if it then still gives the network's scores.

    STResNet -> torch.export's program -> file -> run again on real clips -> kept, or refused

The file's inputs are bytes: `rgb` (B,T,3,H,W) and `flow` (B,T,2L,H,W); its outputs `appearance` and
`motion`, logits (B,T',K) each. B is free, and T from 2 on (ST-ResNet*: from 7, of which 2 T' come);
H and W are fixed, as the tracer cannot solve for the shapes that pool1 rounds up. Class names,
preparation and architecture are in the file's metadata.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.exporting.clips import Clip, random_clips, real_clips
from stresnet.exporting.formats import Format, Scores
from stresnet.exporting.onnx_file import ONNX
from stresnet.exporting.openvino_files import OPENVINO
from stresnet.exporting.program import captured
from stresnet.exporting.torch_file import TORCH_EXPORT
from stresnet.files import atomic_write
from stresnet.model import STResNet, load_model

FORMATS: Mapping[str, Format] = MappingProxyType(
    {each.name: each for each in (ONNX, TORCH_EXPORT, OPENVINO)}
)
TOLERANCE = 1e-4  # greatest difference of a logit, of the greatest logit's magnitude


@dataclass(frozen=True)
class Agreement:
    """How well a written file agrees with the network it was made of.

    Attributes:
        files: what was written.
        clips: names of those that were compared.
        difference: greatest difference of a logit, relative to the greatest logit of its clip.
    """

    files: tuple[Path, ...]
    clips: tuple[str, ...]
    difference: float


def export_model(
    model: STResNet | str | Path,
    to: str,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    clips: Sequence[str | Path] = (),
    say: Callable[[str], None] = print,
) -> Agreement:
    """Write a network as one of `FORMATS`; refused, with nothing written, unless scores agree.

    Args:
        model: a network with class names, or a model folder.
        out: the file; OpenVINO writes a second one beside it, with the suffix .bin.
        size: H and W of the frames that the file takes, px. None: the network's training crop.
        clips: videos on which scores are compared, besides noise. None given: two that ship with
            the package.
        say: receives one plain line at each step of the way.

    Raises:
        UsageError: there is no such format, its suffix is another, or the size is too small.
        WeightsError: the model's folder cannot be used.
        VideoError: a clip cannot be read.
        EnvironmentProblem: an optional package is missing, the folder cannot be written, or the
            file's scores are others than the network's.
    """
    form, out = _format_for(to, Path(out)), Path(out)
    form.require()
    net = (model if isinstance(model, STResNet) else load_model(model, device="cpu")).cpu().eval()
    side = net.config["input_size"]
    height, width = size or (side, side)
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        say(f"tracing the network for frames of {height}x{width} px")
        program = captured(net, height, width)
        say(f"writing {form.name}")
        files = form.write(program, Path(scratch) / out.name, facts(net, height, width))
        compared, difference = [], 0.0
        run = form.opened(files[0])
        for clip in [*random_clips(height, width), *real_clips(clips, height, width)]:
            difference = max(difference, _disagreement(run(clip.rgb, clip.flow), net, clip))
            compared.append(clip.name)
            say(f"{clip.name}: same scores")
        for file in reversed(files):  # the one that is named last: with it all are there
            with atomic_write(out.with_name(file.name)) as partial:
                shutil.copyfile(file, partial)
    return Agreement(tuple(out.with_name(file.name) for file in files), tuple(compared), difference)


def facts(net: STResNet, height: int, width: int) -> dict[str, str]:
    """What the file's metadata say, each as JSON."""
    return {
        "class_names": json.dumps(list(net.class_names), ensure_ascii=False),
        "preparation": json.dumps(net.preparation),
        "architecture": json.dumps(net.config),
        "size": json.dumps([height, width]),
        "stresnet": json.dumps(version("stresnet")),
    }


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


def _disagreement(scores: Sequence[Scores], net: STResNet, clip: Clip) -> float:
    """Greatest difference to eager float32, relative to the greatest logit.

    Raises:
        EnvironmentProblem: it is too great, or the best class is another.
    """
    with torch.inference_mode():
        expected = torch.stack(net(torch.from_numpy(clip.rgb), torch.from_numpy(clip.flow)))
    got = torch.from_numpy(np.stack(scores))
    difference = float((got - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCE or not torch.equal(_best(got), _best(expected)):
        raise EnvironmentProblem(
            f"{clip.name}: the exported scores differ from the network's by {difference:.1e} of "
            f"the greatest, allowed are {TOLERANCE:.0e}; nothing was written",
            remedy="try another version of the format's package",
        )
    return difference


def _best(scores: Tensor) -> Tensor:
    """(2,B,T',K) -> (B,), the class of both streams together."""
    return scores.mean((0, 2)).argmax(-1)
