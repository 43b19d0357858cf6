"""Write a network for other programs, but only if the file gives the network's scores.

    STResNet -> torch.export's program -> file -> run again on real clips -> kept, or refused

    onnx            for ONNX Runtime, OpenVINO and many others: one file, weights included
    torch-export    `torch.export.load(path).module()` runs it without stresnet

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
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.export import Dim, ExportedProgram

from stresnet.data.loading.chunks import testing_chunks
from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import prepared_like
from stresnet.errors import EnvironmentProblem, UsageError
from stresnet.files import ASSETS, atomic_write, require_writable
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model import STResNet, load_model

TOLERANCE = 1e-4  # greatest difference of a logit, relative to the greatest logit
CLIPS = (ASSETS / "clips/fight/fi014.mp4", ASSETS / "clips/noFight/nofi018.mp4")
OUTPUTS = ["appearance", "motion"]
WHERE_FROM = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node")

Run: TypeAlias = Callable[[Tensor, Tensor], Sequence[Tensor]]  # rgb, flow -> appearance, motion

logger = logging.getLogger(__name__)


def export_model(
    model: STResNet | str | Path,
    to: str,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    clips: Sequence[str | Path] = (),
) -> float:
    """Write a network as one of `FORMATS`; nothing is written unless the scores agree.

    The network is traced and compared in float32 on the CPU, and stays as and where it is.

    Args:
        model: a network with class names, or what `load_model` takes.
        to: the format's name.
        out: the file.
        size: H and W of the frames that the file takes, px. None: the network's training crop.
        clips: videos on which scores are compared, in addition to noise. None given: two that ship
            with the package.

    Returns:
        The greatest difference of a logit, relative to the greatest logit of its clip.

    Raises:
        UsageError: there is no such format, `out` has another suffix, the size is too small, or the
            network has no class names.
        WeightsError: the model cannot be used.
        VideoError: a clip cannot be read.
        EnvironmentProblem: an optional package is missing, the folder cannot be written, or the
            file's scores differ from the network's.
    """
    form, out = _format_for(to, Path(out)), Path(out)
    require_writable(out.parent, mark=False)
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
        logger.info(f"writing {to}")
        file = Path(scratch) / out.name
        form.write(program, file, facts)
        run = form.opened(file)
        worst = 0.0
        tried = [*noise(height, width), *real_clips(clips or CLIPS, height, width, net)]
        for name, rgb, flow in tried:
            worst = max(
                worst, _disagreement(name, torch.stack(tuple(run(rgb, flow))), net, rgb, flow)
            )
            logger.info(f"{name}: same scores")
        with atomic_write(out) as partial:
            shutil.copyfile(file, partial)
    return worst


def captured(net: STResNet, height: int, width: int) -> ExportedProgram:
    """Trace a network in eval mode; videos and chunks are free, height and width fixed (px).

    Raises:
        UsageError: the frames are too small for the network.
    """
    shape = (2, 8)  # of the example; the program does not depend on it
    rgb = torch.zeros(*shape, 3, height, width, dtype=torch.uint8)
    flow = torch.zeros(*shape, 2 * FLOW_FIELDS, height, width, dtype=torch.uint8)
    free = {0: Dim.AUTO, 1: Dim.AUTO}
    with torch.no_grad():
        net(rgb[:1, :5], flow[:1, :5])  # its own errors are plainer than the tracer's
        program = torch.export.export(
            net, (rgb, flow), dynamic_shapes={"rgb": free, "flow": free}, strict=False
        )
    for node in program.graph.nodes:  # these name files of this machine
        for key in WHERE_FROM:
            node.meta.pop(key, None)
    return program


def noise(height: int, width: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Make name, rgb and flow of noise, in two shapes: numbers of videos and chunks are free."""
    random = torch.Generator().manual_seed(0)
    for videos, chunks in ((1, 7), (3, 9)):
        rgb, flow = (
            torch.randint(
                256, (videos, chunks, channels, height, width), dtype=torch.uint8, generator=random
            )
            for channels in (3, 2 * FLOW_FIELDS)
        )
        yield f"noise, {videos}x{chunks} chunks", rgb, flow


def real_clips(
    paths: Sequence[str | Path], height: int, width: int, net: STResNet
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Read 25 chunks of each video, whole frames resized to HxW px: name, rgb, flow.

    Raises:
        VideoError: a clip cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        for path in map(Path, paths):
            stored = prepare_video(
                path, Path(scratch) / "clip.zip", **prepared_like(net.preparation)
            )
            seen = testing_chunks(stored, size=min(height, width))
            # Not exact for flow, but good enough to compare scores on.
            rgb, flow = (
                F.interpolate(chunks.float(), (height, width), mode="bilinear", antialias=True)
                for chunks in (seen.rgb, seen.flow)
            )
            yield path.name, rgb.round().byte()[None], flow.round().byte()[None]


def _disagreement(name: str, scores: Tensor, net: STResNet, rgb: Tensor, flow: Tensor) -> float:
    """Greatest difference of scores, (2,B,T',K), from eager float32, relative to the greatest.

    Raises:
        EnvironmentProblem: it is too great, or the best class is another.
    """
    with torch.inference_mode():
        expected = torch.stack(net(rgb, flow))
    difference = float((scores - expected).abs().max() / expected.abs().max())
    best, right = (each.mean((0, 2)).argmax(-1) for each in (scores, expected))  # (B,)
    if not difference <= TOLERANCE or not torch.equal(best, right):
        raise EnvironmentProblem(
            f"{name}: the exported scores differ from the network's by {difference:.1e}, relative "
            f"to the greatest logit; the tolerance is {TOLERANCE:.0e}; nothing was written",
            remedy="try another version of the format's package",
        )
    return difference


def _format_for(to: str, out: Path) -> Format:
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}", remedy=f"choose from {', '.join(FORMATS)}")
    form = FORMATS[to]
    if out.suffix != form.suffix:
        raise UsageError(
            f"{out}: expected a file name that ends in {form.suffix}",
            remedy=f"write to {out.with_suffix(form.suffix).name}",
        )
    if missing := [name for name in form.packages if find_spec(name) is None]:
        raise EnvironmentProblem(
            f"{to} needs {' and '.join(missing)}", remedy="pip install 'stresnet[onnx]'"
        )
    return form


def _write_onnx(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> None:
    import onnx

    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # remarks of the exporter on its own code, and on torchvision
    try:
        with warnings.catch_warnings(action="ignore"):
            exported = torch.onnx.export(
                program,
                input_names=["rgb", "flow"],
                output_names=OUTPUTS,
                dynamo=True,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    assert exported is not None  # because it was given no file
    model = exported.model_proto
    for described in (*model.graph.node, *model.graph.input, *model.graph.initializer):
        described.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(facts))
    onnx.save(model, path)


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(rgb: Tensor, flow: Tensor) -> list[Tensor]:
        scores = session.run(OUTPUTS, {"rgb": rgb.numpy(), "flow": flow.numpy()})
        return [torch.from_numpy(each) for each in scores]

    return run


def _write_program(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> None:
    torch.export.save(program, path, extra_files=dict(facts))


def _open_program(path: Path) -> Run:
    run: Run = torch.no_grad()(torch.export.load(path).module())
    return run


class Format(NamedTuple):
    """The suffix of its files, the packages it needs, and who writes and who runs one (float32)."""

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportedProgram, Path, Mapping[str, str]], None]
    opened: Callable[[Path], Run]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), _write_onnx, _open_onnx),
    "torch-export": Format(".pt2", (), _write_program, _open_program),
}
