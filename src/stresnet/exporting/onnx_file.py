"""ONNX, for ONNX Runtime and many others: one file, weights included."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.export import ExportedProgram

from stresnet.exporting.formats import Bytes, Format, Run, Scores

OUTPUTS = ["appearance", "motion"]


def _write(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> list[Path]:
    import onnx

    with _quiet():
        exported = torch.onnx.export(
            program,
            input_names=["rgb", "flow"],
            output_names=OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    if exported is None:
        raise AssertionError("torch.onnx.export gives a program where it is given no file")
    model = exported.model_proto
    for described in (*model.graph.node, *model.graph.input, *model.graph.initializer):
        described.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(facts))
    onnx.save(model, path)
    return [path]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own code and on torchvision."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _opened(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(rgb: Bytes, flow: Bytes) -> list[Scores]:
        return list(session.run(OUTPUTS, {"rgb": rgb, "flow": flow}))

    return run


ONNX = Format("onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), "onnx", _write, _opened)
