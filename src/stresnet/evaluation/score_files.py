"""Class scores of many videos in a file: ours or another program's.

    .npz     arrays names (N,), class_names (K,) and truth (N,), the last two if known, and scores
             (N, K): one array `scores`, or ours, `fused`, `appearance` and `motion`
    .csv     a header `name,CLASS,CLASS,...`; optionally a column `truth` with class names

Nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stresnet.errors import DatasetError, UsageError
from stresnet.files import DAMAGE, atomic_write, read_text

ENDINGS = (".npz", ".csv")


@dataclass(frozen=True)
class ScoreTable:
    """Scores (N, K) float64 of N different videos.

    Attributes:
        origin: the file, for messages.
        class_names: K, or none where the file has no names.
        truth: (N,) true class indices, or None.
    """

    origin: str
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    class_names: tuple[str, ...] = ()
    truth: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        videos, classes = self.scores.shape if self.scores.ndim == 2 else (-1, -1)
        if videos != len(self.names) or classes < 1 or videos < 1:
            raise self._bad(f"{len(self.names)} names and scores of shape {self.scores.shape}")
        if self.class_names and len(self.class_names) != classes:
            raise self._bad(f"{len(self.class_names)} class names and {classes} scores per video")
        for kind, names in (("videos", self.names), ("classes", self.class_names)):
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise self._bad(f"two {kind} are called {twice!r}")
        if (unusable := np.flatnonzero(~np.isfinite(self.scores).all(axis=1))).size:
            raise self._bad(f"{self.names[unusable[0]]}: a score is not a finite number")
        truth = self.truth
        if truth is not None and (
            truth.shape != (videos,) or ((truth < 0) | (truth >= classes)).any()
        ):
            raise self._bad("the true classes are not one index per video")

    def _bad(self, problem: str) -> DatasetError:
        return DatasetError(
            f"{self.origin}: {problem}", remedy="expected one row of K finite scores per video"
        )


def places(kind: str, wanted: Sequence[str], there: Sequence[str], origin: str) -> list[int]:
    """Return the place of each wanted video or class among the names that `origin` has.

    Raises:
        DatasetError: one is missing; it is named.
    """
    place_of = {name: place for place, name in enumerate(there)}
    if missing := [name for name in wanted if name not in place_of]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DatasetError(
            f"{origin}: {kind} {missing[0]!r}{more} is missing",
            remedy="make both scores of the same videos and classes: the same data and fold",
        )
    return [place_of[name] for name in wanted]


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write an .npz, whole or not at all."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def read_scores(place: str | Path) -> ScoreTable:
    """Read a score file; `FILE#motion` takes that array of an .npz instead of the first.

    Raises:
        DatasetError: the file cannot be read or is not as described above.
        UsageError: another ending, or an array asked for in a .csv.
    """
    named, _, row = str(place).rpartition("#")
    path = Path(named)
    if path.suffix.lower() not in ENDINGS:  # no array, though perhaps a folder's name with a #
        path, row = Path(place), ""
    ending = path.suffix.lower()
    if ending not in ENDINGS or (row and ending != ".npz"):
        raise UsageError(
            f"{place}: cannot be read as scores",
            remedy=f"give a file ending in {', '.join(ENDINGS)}; `#ARRAY` is for .npz",
        )
    try:
        return _read_npz(path, row) if ending == ".npz" else _read_csv(path)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror or error})",
            remedy="check the path and the permissions",
        ) from error
    except (*DAMAGE, csv.Error) as error:
        raise DatasetError(
            f"{place}: cannot be read as scores ({type(error).__name__}: {error})",
            remedy="see docs/evaluation.md for what the file must hold",
        ) from error


def write_scores(table: ScoreTable, path: Path) -> None:
    """Write .npz or .csv, by the ending; the classes need names in a .csv.

    Raises:
        UsageError: another ending, or classes without names.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS or (ending == ".csv" and not table.class_names):
        raise UsageError(
            f"{path}: scores cannot be written in this form",
            remedy=f"choose an ending of {', '.join(ENDINGS)}; .csv is for classes with names",
        )
    if ending == ".npz":
        arrays: dict[str, NDArray[Any]] = {"names": np.array(table.names, dtype=np.str_)}
        if table.class_names:
            arrays["class_names"] = np.array(table.class_names, dtype=np.str_)
        if table.truth is not None:
            arrays["truth"] = table.truth
        save_arrays(path, **arrays, scores=table.scores)
        return
    labels = [] if table.truth is None else [[table.class_names[k]] for k in table.truth]
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", *(["truth"] if labels else []), *table.class_names))
        for place, (name, row) in enumerate(zip(table.names, table.scores.tolist(), strict=True)):
            writer.writerow((name, *(labels[place] if labels else []), *row))


def _read_npz(path: Path, row: str) -> ScoreTable:
    # np.load leaves a damaged file open if it is given a path.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        row = row or next((name for name in ("scores", "fused") if name in arrays), "")
        if row not in arrays:
            held = ", ".join(arrays.files)
            raise KeyError(f"no array {row or 'scores or fused'!r}, only {held}")
        return ScoreTable(
            origin=str(path) + (f"#{row}" if row in ("appearance", "motion") else ""),
            names=tuple(map(str, arrays["names"])),
            scores=np.asarray(arrays[row], dtype=np.float64),
            class_names=tuple(map(str, arrays["class_names"])) if "class_names" in arrays else (),
            truth=arrays["truth"].astype(np.int64) if "truth" in arrays else None,
        )


def _read_csv(path: Path) -> ScoreTable:
    with io.StringIO(read_text(path), newline="") as file:
        header, *rows = [cells for cells in csv.reader(file) if cells]
    if not header or header[0].strip().lower() not in ("name", "video", "path"):
        raise ValueError("its first line must be name,CLASS,CLASS,...")
    if wrong := next((cells for cells in rows if len(cells) != len(header)), None):
        raise ValueError(f"{wrong[0]}: {len(wrong)} columns, expected {len(header)}")
    heads = [head.strip() for head in header]
    of_truth = next((place for place, head in enumerate(heads) if head.lower() == "truth"), None)
    columns = [place for place in range(1, len(heads)) if place != of_truth]
    class_names = tuple(heads[place] for place in columns)
    numbers = [[float(cells[place]) for place in columns] for cells in rows]
    truth = None
    if of_truth is not None:
        labels = [cells[of_truth].strip() for cells in rows]
        if unknown := [label for label in labels if label not in class_names]:
            raise ValueError(f"the true class {unknown[0]!r} has no column")
        truth = [class_names.index(label) for label in labels]
    return ScoreTable(
        origin=str(path),
        names=tuple(cells[0] for cells in rows),
        scores=np.array(numbers, dtype=np.float64).reshape(len(rows), len(columns)),
        class_names=class_names,
        truth=None if truth is None else np.array(truth, dtype=np.int64),
    )
