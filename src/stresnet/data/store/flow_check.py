"""Does the stored flow belong to the stored frames? Known kinds of damage are named.

Warped back by the flow, frame k+1 must look like frame k (brightness constancy, on which TV-L1
rests). If another reading of the same bytes makes it look more alike, they were written that way:

    axes swapped | negated, both or one | too large or too small | of the frame before or after

Flow that was min-max normalised, each picture on its own, shows in its levels: each picture goes
from 0 to 255, and what stands still is not at 128. Only moving, textured pixels count; a still or
black video has none, and is not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.cloud import listing
from stresnet.data.store.format import NO_MOTION
from stresnet.data.store.index import Indexed, Look, is_packed, packed_place, read_packed
from stresnet.data.store.location import Place, Slice
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, StresnetError, UsageError
from stresnet.files import address_of
from stresnet.flow import grey, to_pixels
from stresnet.flow.quantize import BOUND
from stresnet.jobs import Engine
from stresnet.progress import OnProgress, silent
from stresnet.workers import map_in_processes

FIELDS = 12  # looked at in a video
PIXELS = 4000  # looked at in a field
LEAST_PIXELS = 200  # of a field, or it is skipped
LEAST_FIELDS = 3  # in all, or the video is not judged
LEAST_SPEED = 1.0  # pixels per frame; below, the readings hardly differ
LEAST_GRADIENT = 8.0  # grey levels a pixel; without texture, every reading fits
BETTER = 0.85  # of the error as stored, to be a better reading
AGREEING = 0.7  # of the fields that must find it better

Flow = NDArray[np.float32]  # (2,n), at n pixels
_SCALES = (1 / 2, 5 / 8, 3 / 4, 4 / 3, 8 / 5, 2)  # 8/5: denseflow's own bound, 32, taken for 20

AS_STORED = "as stored"
READINGS: Mapping[str, Callable[[Flow], Flow]] = {
    AS_STORED: lambda flow: flow,
    "none": np.zeros_like,
    "swapped": lambda flow: flow[::-1],
    "negated": lambda flow: -flow,
    "x negated": lambda flow: flow * np.array([[-1], [1]], np.float32),
    "y negated": lambda flow: flow * np.array([[1], [-1]], np.float32),
    **{
        f"times {scale:.3g}": lambda flow, scale=scale: flow * np.float32(scale)  # type: ignore[misc]
        for scale in _SCALES
    },
}
_NEIGHBOURS = {"before": -1, "after": 1}
_SENTENCES = {
    "none": "frames look more alike without the flow than warped by it: it is of other frames, or "
    "of another size",
    "swapped": "x and y seem to be swapped: the flow fits when its axes are exchanged",
    "negated": "the flow seems to be backward: it fits when negated",
    "x negated": "horizontal flow seems to have the wrong sign: it fits when x is negated",
    "y negated": "vertical flow seems to have the wrong sign, upward for downward: it fits when y "
    "is negated",
    "before": "flow seems to be shifted by a frame: field k fits frames k+1 and k+2",
    "after": "flow seems to be shifted by a frame: field k fits frames k-1 and k",
}
_MIN_MAX = (
    "the flow seems to be min-max normalised: each picture goes from 0 to 255, and what stands "
    f"still is not at {NO_MOTION}; its scale is lost, compute it again"
)


@dataclass
class Evidence:
    """What was measured of a video.

    Attributes:
        bound: of the flow, in pixels per frame, as its maker is said to have used.
        scale: that flow was multiplied by before it was stored.
        errors: by reading, for each field looked at: mean difference in grey levels.
        touching: for each field, whether both its pictures go from 0 to 255.
        off_zero: for each of those in which anything stands still, whether it is far from 128.
    """

    bound: float = BOUND
    scale: float = 1.0
    errors: dict[str, list[float]] = field(default_factory=dict)
    touching: list[bool] = field(default_factory=list)
    off_zero: list[bool] = field(default_factory=list)


def evidence(stored: StoredVideo) -> Evidence:
    """Look at some flow fields of a prepared video, spread evenly over it.

    Raises:
        StoreError: the store is missing or damaged.
    """
    preparation = stored.index.preparation
    seen = Evidence(preparation.get("imported_bound", BOUND), preparation.get("flow_scale", 1.0))
    # Fields 1 ... N-3, since those before and after are tried too.
    last = stored.num_frames - 3
    for index in np.unique(np.linspace(1, last, FIELDS).astype(int)) if last >= 1 else ():
        before, after = grey(stored.frames([index, index + 1])).astype(np.float32)
        levels = stored.flow([index - 1, index, index + 1])
        _look(seen, before, after, levels)
    return seen


def finding(seen: Evidence) -> str:
    """Return what seems to be wrong, in a sentence; empty if nothing does, or nobody can say."""
    if _mostly(seen.touching, 0.9) and _mostly(seen.off_zero, 0.5):
        return _MIN_MAX
    stored = np.array(seen.errors.get(AS_STORED, []))
    if len(stored) < LEAST_FIELDS:
        return ""
    others = {name: np.array(errors) for name, errors in seen.errors.items() if name != AS_STORED}
    best = min(others, key=lambda name: float(others[name].mean()))
    improves = others[best].mean() < BETTER * stored.mean()
    agreed = (others[best] < BETTER * stored).mean() >= AGREEING
    return _sentence(best, seen.bound) if improves and agreed else ""


def _sentence(reading: str, bound: float) -> str:
    if reading in _SENTENCES:
        return _SENTENCES[reading]
    scale = float(reading.removeprefix("times "))
    return (
        f"the bound seems to be wrong: the flow fits when taken {reading}, as if made with a bound "
        f"of about {bound * scale:.2g} px per frame, not {bound:g}, or on frames of another size"
    )


def _mostly(answers: Iterable[bool], share: float) -> bool:
    given = list(answers)
    return len(given) >= LEAST_FIELDS and sum(given) >= share * len(given)


def _look(
    seen: Evidence,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    levels: NDArray[np.uint8],
) -> None:
    """Frames (H,W) grey, and flow bytes (3,2,H,W) of the field before, this and after."""
    texture = np.hypot(*np.gradient(before))
    textured = texture >= LEAST_GRADIENT
    _look_at_levels(seen, levels[1], textured & (np.abs(after - before) <= 2))

    flow = to_pixels(levels) / seen.scale  # (3,2,H,W)
    moving = np.hypot(*flow[1]) >= LEAST_SPEED
    y, x = np.nonzero(textured & moving)
    if len(x) < LEAST_PIXELS:
        return
    chosen = np.linspace(0, len(x) - 1, min(PIXELS, len(x))).astype(int)
    y, x = y[chosen], x[chosen]
    here = flow[..., y, x]  # (3,2,n)
    readings = {name: read(here[1]) for name, read in READINGS.items()}
    readings |= {name: here[1 + offset] for name, offset in _NEIGHBOURS.items()}
    for name, read in readings.items():
        error = np.abs(_at(after, y + read[1], x + read[0]) - before[y, x])
        seen.errors.setdefault(name, []).append(float(error.mean()))


def _look_at_levels(seen: Evidence, levels: NDArray[np.uint8], still: NDArray[Any]) -> None:
    # JPEG blurs the ends by a few levels.
    touching = bool((levels.min(axis=(1, 2)) <= 4).all() and (levels.max(axis=(1, 2)) >= 251).all())
    seen.touching.append(touching)
    if touching and still.sum() >= LEAST_PIXELS:
        zero = np.median(levels[:, still], axis=1)
        seen.off_zero.append(bool((np.abs(zero - NO_MOTION) > 6).any()))


def _at(image: NDArray[np.float32], y: Any, x: Any) -> NDArray[np.float32]:
    """Bilinear samples of (H,W) at points (n,), the border repeated."""
    height, width = image.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, right = y - top, x - left
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        videos: how many were looked at.
        failures: (name, reason) of those that are damaged or were made otherwise.
        warnings: (name, what was lost when the video was decoded).
        by_finding: sentence -> names of the videos that show it.
        index: what is worth knowing of each that is intact, by name.
    """

    videos: int
    failures: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]
    by_finding: Mapping[str, tuple[str, ...]]
    index: Mapping[str, Indexed]

    @property
    def all_well(self) -> bool:
        """Whether no store is damaged and no flow is odd; videos may have been cut off."""
        return not (self.failures or self.by_finding)


def find_stores(place: Path) -> list[tuple[Place, str]]:
    """Find a prepared video, or those at any depth of a folder: (place, name), sorted by name.

    The folder may hold shards, or be the address of one of single prepared videos.

    Raises:
        DatasetError: there is no such place, or no prepared video in it.
    """
    if place.is_file():
        return [(place, place.name)]
    if is_packed(place):
        return [(packed_place(place, name), name) for name in sorted(read_packed(place))]
    if address_of(place):
        names = [name for name in listing(place) if name.endswith(".zip")]
    else:
        names = [path.relative_to(place).as_posix() for path in place.rglob("*.zip")]
    if not names:
        raise DatasetError(
            f"{place}: there are no prepared videos here", remedy="run `stresnet prepare`"
        )
    return [(place / name, name) for name in sorted(names)]


def check_stores(
    stores: str | Path | Sequence[tuple[Place, str]],
    *,
    workers: int | None = None,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> CheckReport:
    """Check prepared videos: every byte, and the flow.

    Args:
        stores: a prepared video, or a folder of them, or of shards; or each as (place, name).
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).

    Raises:
        DatasetError: there is no such folder, or no prepared video in it.
        UsageError: `workers` is less than 1, or the folder is in an object store.
    """
    if isinstance(stores, str | Path):
        if (address := address_of(stores)) is not None:
            raise UsageError(
                f"{address}: prepared videos are read from a disk",
                remedy="copy them to one; shards are checked as well",
            )
        stores = find_stores(Path(stores))
    failures: list[tuple[str, str]] = []
    warnings: list[tuple[str, str]] = []
    outcomes = engine(
        _checked, {name: path for path, name in stores}, workers=workers, on_progress=on_progress
    )
    by_finding: dict[str, list[str]] = defaultdict(list)
    index: dict[str, Indexed] = {}
    for name, outcome in sorted(outcomes):
        if isinstance(outcome, StresnetError):
            failures.append((name, str(outcome)))
            continue
        sentence, found = outcome
        index[name.removesuffix(".zip")] = found
        warnings += [(name, warning) for warning in found.warnings]
        if sentence:
            by_finding[sentence].append(name)
    return CheckReport(
        videos=len(stores),
        failures=tuple(failures),
        warnings=tuple(warnings),
        by_finding={sentence: tuple(names) for sentence, names in by_finding.items()},
        index=index,
    )


def _checked(place: Place) -> tuple[str, Indexed]:
    """(what seems to be wrong with the flow, what is worth knowing of the video)."""
    stored = StoredVideo(place)
    look = None if isinstance(place, Slice) else Look.of(place)  # before it is read
    stored.verify()
    return finding(evidence(stored)), Indexed.of(stored, source=None, store=look)
