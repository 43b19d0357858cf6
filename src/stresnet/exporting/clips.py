"""What an exported file is tried on: noise, and real clips."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from stresnet.data.loading.dataset import testing_chunks
from stresnet.data.prepare.one import prepare_video
from stresnet.exporting.formats import Bytes
from stresnet.model.st_resnet import FLOW_FIELDS

SHIPPED = ("fight/fi014.mp4", "noFight/nofi018.mp4")


@dataclass(frozen=True)
class Clip:
    """rgb (B,T,3,H,W) and flow (B,T,2L,H,W), bytes."""

    name: str
    rgb: Bytes
    flow: Bytes


def random_clips(height: int, width: int) -> Iterator[Clip]:
    """Noise, in two shapes: numbers of videos and of chunks are free."""
    random = np.random.default_rng(0)
    for videos, chunks in ((1, 7), (3, 9)):
        rgb = random.integers(0, 256, (videos, chunks, 3, height, width), np.uint8)
        flow = random.integers(0, 256, (videos, chunks, 2 * FLOW_FIELDS, height, width), np.uint8)
        yield Clip(f"noise, {videos}x{chunks} chunks", rgb, flow)


def real_clips(paths: Sequence[str | Path], height: int, width: int) -> Iterator[Clip]:
    """Whole frames brought to HxW px, 25 chunks; of two shipped clips, if no path is given.

    Raises:
        VideoError: a clip cannot be read.
    """
    with ExitStack() as stack:
        if not paths:
            shipped = stack.enter_context(as_file(files("stresnet") / "assets" / "clips"))
            paths = [shipped / name for name in SHIPPED]
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stresnet-")))
        for path in map(Path, paths):
            seen = testing_chunks(
                prepare_video(path, scratch / "clip.zip"), size=min(height, width)
            )
            rgb, flow = _resized(seen.rgb, height, width), _resized(seen.flow, height, width)
            yield Clip(path.name, rgb, flow)


def _resized(chunks: Tensor, height: int, width: int) -> Bytes:
    """(T,C,h,w) -> (1,T,C,H,W); for flow not exact, but as good to compare scores on."""
    smaller = F.interpolate(chunks.float(), (height, width), mode="bilinear", antialias=True)
    return smaller.round().byte()[None].numpy()
