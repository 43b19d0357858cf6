"""OpenVINO: the graph as .xml, the weights as .bin beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from torch.export import ExportedProgram

from stresnet.exporting.formats import Bytes, Format, Run, Scores

SECTION = "stresnet"  # of the file's runtime information


def _write(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> list[Path]:
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's and the converter's own code
        model = openvino.convert_model(program)
    for output, name in zip(model.outputs, ("appearance", "motion"), strict=True):
        output.get_tensor().set_names({name})
    for key, value in facts.items():
        model.set_rt_info(value, [SECTION, key])
    openvino.save_model(model, path, compress_to_fp16=False)
    return [path, path.with_suffix(".bin")]


def _opened(path: Path) -> Run:
    import openvino

    # By itself OpenVINO multiplies in bfloat16 where the processor can.
    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(rgb: Bytes, flow: Bytes) -> list[Scores]:
        scores = model({"rgb": rgb, "flow": flow})
        return [scores["appearance"], scores["motion"]]

    return run


OPENVINO = Format("openvino", ".xml", ("openvino",), "openvino", _write, _opened)
