"""The formats: each writes torch.export's program of a network, and runs what it wrote.

ONNX            for ONNX Runtime, OpenVINO and many others: one file, weights included
torch.export    `torch.export.load(path).module()` runs it without stresnet
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from stresnet.errors import EnvironmentProblem
from stresnet.model import STResNet
from stresnet.model.st_resnet import FLOW_FIELDS

OUTPUTS = ["appearance", "motion"]
WHERE_FROM = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node")

Run: TypeAlias = Callable[[Tensor, Tensor], Sequence[Tensor]]  # rgb, flow -> appearance, motion


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: as the command line calls it.
        suffix: of its files, with the dot.
        packages: that it needs.
        extra: of stresnet, that installs them; "" if none is needed.
        write: (program, path, metadata) writes the file.
        opened: path -> a function that scores in float32.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    extra: str
    write: Callable[[ExportedProgram, Path, Mapping[str, str]], None]
    opened: Callable[[Path], Run]

    def require(self) -> None:
        """Raise `EnvironmentProblem`, with the pip command, if a package is missing."""
        if missing := [name for name in self.packages if find_spec(name) is None]:
            raise EnvironmentProblem(
                f"{self.name} needs {' and '.join(missing)}",
                remedy=f"pip install 'stresnet[{self.extra}]'",
            )


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


def _write_onnx(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> None:
    import onnx

    with _quiet():
        exported = torch.onnx.export(
            program,
            input_names=["rgb", "flow"],
            output_names=OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    assert exported is not None  # as it was given no file
    model = exported.model_proto
    for described in (*model.graph.node, *model.graph.input, *model.graph.initializer):
        described.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(facts))
    onnx.save(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks about its own code and about torchvision."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


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
    module = torch.export.load(path).module()

    @torch.no_grad()
    def run(rgb: Tensor, flow: Tensor) -> Sequence[Tensor]:
        scores: Sequence[Tensor] = module(rgb, flow)
        return scores

    return run


ONNX = Format(
    "onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), "onnx", _write_onnx, _open_onnx
)
TORCH_EXPORT = Format("torch-export", ".pt2", (), "", _write_program, _open_program)
FORMATS: Mapping[str, Format] = MappingProxyType({each.name: each for each in (ONNX, TORCH_EXPORT)})
