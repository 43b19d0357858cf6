"""Frames and flow that other tools wrote as JPEGs -> prepared videos.

    FOLDER --find_pictures()--> one job a video --(counts, numbers, sizes checked)--> OUT/NAME.zip

The authors' layout is read, and denseflow's, old (counting from 1) and new (from 0). Frames keep
their bytes. Flow is decoded, brought to our bound if it was made with another one, and encoded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.formats.layouts import DENSEFLOW, Layout, layout_names
from stresnet.data.store.format import FLOW_FORMAT, Origin
from stresnet.data.store.jpeg import decode_grey, decode_rgb, size_of
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.data.store.writer import store_writer
from stresnet.errors import DatasetError, StoreError, UsageError, printable
from stresnet.files import remove_stale_partials, require_writable
from stresnet.flow import to_bytes
from stresnet.flow.quantize import BOUND, stored_scale
from stresnet.jobs import Done, Engine, JobReport, job_report
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes

FRAME = re.compile(r"(?:img_|frame)(\d+)\.jpe?g")
FLOW_X = re.compile(r"(?:flow_x_|x_|frame)(\d+)\.jpe?g")
FLOW_Y = re.compile(r"(?:flow_y_|y_|frame)(\d+)\.jpe?g")


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of one video lie.

    Attributes:
        name: of the video, as the layout calls it: a relative path with `/`.
        layout: the layout that the folders follow.
        rgb, x, y: folders of the frames, and of horizontal and vertical flow.
    """

    name: str
    layout: str
    rgb: Path
    x: Path
    y: Path


def find_pictures(folder: Path) -> list[Pictures]:
    """The videos of a folder in the authors' layout or denseflow's, sorted by name.

    Hidden folders are skipped: killed runs leave half-written ones.

    Raises:
        DatasetError: there is no such folder, or no pictures of such names in it.
    """
    if (folder / "jpegs_256").is_dir():
        layout, frames = Layout.AUTHORS.value, folder / "jpegs_256"
    else:
        layout, frames = DENSEFLOW, folder
    names = sorted(
        place.as_posix() for place in _folders(frames) if _by_number(frames / place, FRAME)
    )
    if not names:
        raise DatasetError(
            f"{folder}: holds no prepared videos of another tool",
            remedy="expected jpegs_256/NAME/frame000001.jpg with tvl1_flow/{u,v}/NAME beside it, "
            "or NAME/img_00000.jpg with NAME/flow_x_00000.jpg and NAME/flow_y_00000.jpg",
        )
    own_name = folder.resolve().name  # of a folder that is itself one video's
    flow = (".", ".") if layout == DENSEFLOW else ("tvl1_flow/u", "tvl1_flow/v")
    return [
        Pictures(
            own_name if name == "." else name,
            layout,
            frames / name,
            *(folder / place / name for place in flow),
        )
        for name in names
    ]


def _folders(root: Path) -> Iterator[Path]:
    """Every folder at any depth, `root` itself first, relative to it."""
    for parent, folders, _ in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield Path(parent).relative_to(root)


def import_pictures(
    found: Iterable[Pictures],
    out: Path,
    *,
    bound: float = BOUND,
    fps: float = 25.0,
    videos: Iterable[str] = (),
    workers: int | None = None,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Write prepared videos from pictures. Safe to interrupt: the same call resumes.

    Args:
        bound: the other tool's bound of the flow, in pixels per frame.
        fps: frames per second of the videos, which pictures cannot tell.
        videos: names of the videos that the pictures were made from, as `prepare` calls them. A
            prepared video gets the name of its video, else the layout's name for it.

    Raises:
        UsageError: an argument makes no sense, or names clash.
        EnvironmentProblem: the disk is full, or `out` cannot be written.
    """
    if not (bound > 0 and fps > 0):
        raise UsageError(f"bound {bound} and {fps} frames a second, expected both above 0")
    found = list(found)
    called = layout_names(videos, found[0].layout) if found else {}
    video_of = {name: video for video, name in called.items()}
    names = [video_of.get(pictures.name, pictures.name) for pictures in found]
    jobs = {
        name: (pictures, store_path(out, name)) for name, pictures in zip(names, found, strict=True)
    }
    require_writable(out)
    remove_stale_partials(store for _, store in jobs.values())
    outcomes = engine(
        partial(_import_unless_done, bound, fps), jobs, workers=workers, on_progress=on_progress
    )
    return job_report(outcomes, out / "failures.csv")


def _import_unless_done(bound: float, fps: float, job: tuple[Pictures, Path]) -> Done:
    pictures, store = job
    frames, fields = _numbered(pictures)
    origin = Origin(pictures.name, _sha256(frames, fields))
    height, width = _size(frames[0])
    scale = stored_scale(min(height, width))
    preparation = {
        "short_side": min(height, width),
        "flow": "imported",
        **({} if scale == 1 else {"flow_scale": scale}),
        **FLOW_FORMAT,
        "imported_from": pictures.layout,
        "imported_bound": bound,
        "imported_fps": fps,
    }
    if _is_done(store, origin, preparation):
        return Done(skipped=True)
    libraries = {name: version(name) for name in ("stresnet", "simplejpeg")}
    with store_writer(store, origin=origin, preparation=preparation, libraries=libraries) as writer:
        for index, path in enumerate(frames):
            jpeg = _decoded(path, np.empty((height, width, 3), np.uint8))
            writer.add_frame_jpeg(jpeg, (height, width), index / fps)
        for pair in fields:
            field = np.empty((2, height, width), np.uint8)
            for path, levels in zip(pair, field, strict=True):
                _decoded(path, levels)
            # What `prepare` has written is multiplied already.
            times = 1.0 if pictures.layout == Layout.AUTHORS else scale
            writer.add_flow(requantise(field, bound, times)[np.newaxis])
    return Done()


def requantise(levels: NDArray[np.uint8], bound: float, times: float = 1.0) -> NDArray[np.uint8]:
    """Any shape, bytes of flow clipped at `bound` pixels per frame -> bytes of our bound.

    Args:
        times: what the flow is multiplied by.
    """
    if (bound, times) == (BOUND, 1.0):
        return levels
    pixels = levels.astype(np.float32) * np.float32(2 * bound / 255) - np.float32(bound)
    return to_bytes(pixels * np.float32(times))


def _is_done(store: Path, origin: Origin, preparation: Mapping[str, object]) -> bool:
    stored = StoredVideo(store)
    try:
        stored.verify()
        stored.check(preparation)
        return stored.index.origin == origin
    except StoreError:
        return False


def _numbered(pictures: Pictures) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Paths of frames 0 ... N-1 and of the flow from each to the next: (x, y)."""
    frames = _by_number(pictures.rgb, FRAME)
    x, y = _by_number(pictures.x, FLOW_X), _by_number(pictures.y, FLOW_Y)
    first = min(frames)
    if first > 1 or sorted(frames) != list(range(first, first + len(frames))):
        raise _misfit(pictures, f"frames are numbered {_span(frames)}, {len(frames)} of them")
    if not sorted(x) == sorted(y) == list(range(first, first + len(frames) - 1)):
        raise _misfit(
            pictures,
            f"{len(frames)} frames, numbered {_span(frames)}, with {len(x)} horizontal flow "
            f"fields, numbered {_span(x)}, and {len(y)} vertical ones, numbered {_span(y)}",
        )
    return (
        [frames[number] for number in sorted(frames)],
        [(x[number], y[number]) for number in sorted(x)],
    )


def _misfit(pictures: Pictures, problem: str) -> StoreError:
    return StoreError(
        f"{printable(Path(pictures.name))}: {problem}; expected numbers without a gap from 0 or 1, "
        "and one flow field for each frame but the last, of its frame's number",
        remedy="make it again; flow of every k-th frame only cannot be used",
    )


def _span(numbered: Mapping[int, Path]) -> str:
    return f"{min(numbered)} to {max(numbered)}" if numbered else "-"


def _by_number(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    matches = ((pattern.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in matches if match}


def _sha256(frames: list[Path], fields: list[tuple[Path, Path]]) -> str:
    """SHA-256 of the contents of all pictures, in order."""
    sha256 = hashlib.sha256()
    for path in [*frames, *(path for pair in fields for path in pair)]:
        with path.open("rb") as file:
            sha256.update(hashlib.file_digest(file, "sha256").digest())
    return sha256.hexdigest()


def _size(path: Path) -> tuple[int, int]:
    try:
        return size_of(path.read_bytes())
    except ValueError as error:
        raise _undecodable(path, error) from error


def _decoded(path: Path, out: NDArray[np.uint8]) -> bytes:
    """Decode a picture into `out`, RGB (H,W,3) or grey (H,W); return its bytes."""
    jpeg = path.read_bytes()
    try:
        (decode_rgb if out.ndim == 3 else decode_grey)(jpeg, out)
    except ValueError as error:
        raise _undecodable(path, error) from error
    return jpeg


def _undecodable(path: Path, error: ValueError) -> StoreError:
    return StoreError(
        f"{printable(path)}: cannot be used ({error})", remedy="copy it again, or make it again"
    )
