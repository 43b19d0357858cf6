"""A data set's trajectories -> a codebook of its training videos, and a vector per video.

    FOLDER
    ├── codebook.safetensors      learnt from the training videos alone
    ├── vectors/CLASS/clip.npz    a video's vector, and what it was made of
    └── failures.csv              videos without features

Rerun to resume: vectors made of the same trajectories and codebook are left alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stresnet.data.splits.split import Split
from stresnet.data.store.location import store_path
from stresnet.errors import StoreError
from stresnet.files import atomic_write
from stresnet.idt.codebook import (
    GAUSSIANS,
    SAMPLES,
    USUAL,
    Codebook,
    learn_codebook,
    load_codebook,
    sampled,
)
from stresnet.idt.feature_file import find_features, iter_blocks, read_index
from stresnet.idt.layout import Float32
from stresnet.progress import OnProgress, Progress, silent
from stresnet.workers import write_failures

CODEBOOK, VECTORS = "codebook.safetensors", "vectors"

logger = logging.getLogger(__name__)


def encode(
    features: Path,
    split: Split,
    out: Path,
    *,
    kinds: Sequence[str] = USUAL,
    gaussians: int = GAUSSIANS,
    samples: int = SAMPLES,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> dict[str, str]:
    """Learn a codebook from the split's training videos, and encode all videos.

    Memory holds the sample, about 10 kB per trajectory while it is learnt from, and one block of a
    video.

    Args:
        features: folder of trajectories, ours or the authors' program's.
        kinds: of descriptors, see `codebook.KINDS`.
        gaussians: of each mixture.
        samples: trajectories that the codebook is learnt from.

    Returns:
        The videos without a vector, with the reason; `out`/failures.csv lists them too.

    Raises:
        UsageError: there is no such kind of descriptor.
        DatasetError: the training videos have too few trajectories.
        EnvironmentProblem: a library is missing, the disk is full, or `out` cannot be written.
    """
    found: dict[str, Path] = {}
    failures: dict[str, str] = {}
    for item in split.train + split.test:
        try:
            found[item.name] = find_features(features, item.name)
        except StoreError as error:
            failures[item.name] = str(error)
    training = [found[item.name] for item in split.train if item.name in found]
    settings = {"kinds": list(kinds), "gaussians": gaussians, "samples": samples, "seed": seed}
    learnt_from = _digest([json.dumps(settings), *map(_seal, training)])
    codebook = _codebook(out / CODEBOOK, learnt_from)
    if codebook is None:
        logger.info("drawing trajectories from %d training videos", len(training))
        sample = sampled(training, samples, seed=seed)
        codebook = learn_codebook(sample, kinds=kinds, gaussians=gaussians, seed=seed)
        codebook.save(out / CODEBOOK, learnt_from)
    for place, (name, path) in enumerate(found.items(), start=1):
        try:
            _encode_unless_done(codebook, path, vector_path(out, name), learnt_from)
        except StoreError as error:
            failures[name] = str(error)
        on_progress(Progress(place, len(found), name))
    write_failures(out / "failures.csv", list(failures.items()))
    return failures


def load_vector(folder: Path, name: str) -> Float32:
    """Read a video's vector.

    Raises:
        StoreError: it is missing or damaged.
    """
    path = vector_path(folder, name)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays["vector"], np.float32)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{path}: the vector cannot be read ({error})",
            remedy="delete it and run `stresnet idt evaluate` again",
        ) from error


def vector_path(folder: Path, name: str) -> Path:
    """`CLASS/clip.avi` -> `folder/vectors/CLASS/clip.avi.npz`."""
    return store_path(folder / VECTORS, name).with_suffix(".npz")


def _codebook(path: Path, learnt_from: str) -> Codebook | None:
    try:
        codebook, made_from = load_codebook(path)
    except StoreError:
        return None
    return codebook if made_from == learnt_from else None


def _encode_unless_done(codebook: Codebook, path: Path, out: Path, learnt_from: str) -> None:
    made_of = _digest([learnt_from, _seal(path)])
    try:
        with out.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["made_of"]) == made_of:
                return
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    vector = codebook.encode(iter_blocks(path))
    with atomic_write(out) as partial, partial.open("wb") as target:
        np.savez(target, vector=vector, made_of=np.array(made_of))


def _seal(path: Path) -> str:
    """Return a text that differs between files of trajectories, without reading gigabytes."""
    if path.suffix == ".npz":
        return json.dumps(read_index(path), sort_keys=True)
    state = path.stat()
    return f"{path.name} {state.st_size} {state.st_mtime_ns}"


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
