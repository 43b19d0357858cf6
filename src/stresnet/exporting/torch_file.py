"""torch.export: `torch.export.load(path).module()` runs it without stresnet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import ExportedProgram

from stresnet.exporting.formats import Bytes, Format, Run, Scores


def _write(program: ExportedProgram, path: Path, facts: Mapping[str, str]) -> list[Path]:
    torch.export.save(program, path, extra_files=dict(facts))
    return [path]


def _opened(path: Path) -> Run:
    module = torch.export.load(path).module()

    @torch.no_grad()
    def run(rgb: Bytes, flow: Bytes) -> list[Scores]:
        return [scores.numpy() for scores in module(torch.from_numpy(rgb), torch.from_numpy(flow))]

    return run


TORCH_EXPORT = Format("torch-export", ".pt2", (), "", _write, _opened)
