"""Prepared videos of a few pixels whose flow is known, and jobs without worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from making_videos import Video
from stresnet import worker_process, workers
from stresnet.data.formats.write import pictures
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.format import FLOW_FORMAT, Origin
from stresnet.data.store.index import PARTS
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.writer import store_writer
from stresnet.errors import StresnetError
from stresnet.flow import to_bytes
from stresnet.progress import OnProgress, Progress

PREPARATION = preparation()


def sharp_texture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """(H,W,3) uint8: blots of about five pixels, steep enough for flow to be checked by."""
    coarse = np.random.default_rng(seed).integers(20, 236, (height // 5 + 3, width // 5 + 3, 3))
    y, x = np.arange(height) / 5, np.arange(width) / 5
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[:, None, None], (x - left)[None, :, None]
    upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    return (upper * (1 - down) + lower * down).astype(np.uint8)


def moved(places: NDArray[np.int64], height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(N,H,W,3) uint8: a texture, shifted to each of `places` (N,2), x and y in pixels."""
    places = places - places.max(axis=0)  # 0 or less
    spare = -places.min(axis=0)
    large = sharp_texture(height + spare[1], width + spare[0], seed=seed)
    return np.stack([large[-y:, -x:][:height, :width] for x, y in places])


def write_store(
    path: Path,
    video: Video,
    flow: NDArray[np.uint8],
    *,
    origin: Origin,
    preparation: Mapping[str, Any] = FLOW_FORMAT,
) -> StoredVideo:
    """Store a video that is in memory, with its flow (N-1,2,H,W) uint8."""
    with store_writer(path, origin=origin, preparation=preparation, libraries={}) as writer:
        writer.warnings.extend(video.warnings)
        writer.add_frames(video.frames, video.times.tolist())
        writer.add_flow(flow)
    return StoredVideo(path)


def moving_store(
    store: Path,
    name: str,
    *,
    step: tuple[int, int] = (3, 0),
    frames: int = 6,
    seed: int = 0,
    told: Callable[[np.ndarray], np.ndarray] = lambda flow: flow,
) -> StoredVideo:
    """A texture that moves by `step` (x, y) pixels a frame, prepared under `name`.

    Args:
        told: what is stored instead of the true flow (N-1,2,H,W) in pixels per frame.
    """
    images = moved(np.outer(np.arange(frames), step), 64, 80, seed)
    flow = np.empty((frames - 1, 2, 64, 80), np.float32)
    flow[:, 0], flow[:, 1] = step
    path = store_path(store, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = Origin(Path(name).name, f"{seed:064d}")
    video = Video(images, np.arange(frames) / 25)
    return write_store(path, video, to_bytes(told(flow)), origin=origin, preparation=PREPARATION)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, hidden ones too, but not what is known of this very disk."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.match(PARTS) and path.name != ".stresnet"
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run jobs in this process, one after the other: quicker."""

    def run(
        function: Callable[[Any], Any],
        jobs: Mapping[Any, Any],
        count: int,
        deadline: float | None,
        on_progress: OnProgress,
        spare: object = None,
    ) -> Iterator[tuple[Any, Any] | None]:
        yield None
        for finished, (name, job) in enumerate(jobs.items()):

            def show(done: float, finished: int = finished, name: Any = name) -> None:
                on_progress(Progress(finished + done, len(jobs), str(name)))

            home = SimpleNamespace(send=lambda share, show=show: show(share.of_job))
            monkeypatch.setattr(worker_process, "_home", home)
            try:
                outcome = function(job)
            except StresnetError as error:
                outcome = error
            show(1)
            yield name, outcome

    monkeypatch.setattr(workers, "_outcomes", run)


def write_denseflow(names: Iterable[str], store: Path, out: Path, *, first: int = 0) -> Path:
    """Prepared videos in the layout of denseflow: NAME/img_00000.jpg, flow_x_00000.jpg, ..."""
    kinds = ("img", "flow_x", "flow_y")
    for name in names:
        folder = out / Path(name).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        for kind, index, jpeg in pictures(StoredVideo(store_path(store, name))):
            (folder / f"{kinds[kind]}_{index + first:05d}.jpg").write_bytes(jpeg)
    return out
