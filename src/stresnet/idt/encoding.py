"""A data set's trajectories -> a codebook of its training videos, a vector per video, and scores.

    FOLDER
    ├── codebook.safetensors      learnt from the training videos alone
    ├── vectors/CLASS/clip.npz    a video's vector, and what it was made of
    └── failures.csv              videos without features

Rerun to resume: vectors made from the same trajectories and codebook are left alone.

Linear support vector machines score the vectors, one class against the rest (C = 100). They are
trained and evaluated in their dual form: the vectors' inner products, (N, N), are far fewer numbers
than the vectors, (N, 101376), which are read a block at a time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stresnet.data.splits.split import Split, VideoItem
from stresnet.data.store.location import store_path
from stresnet.errors import DatasetError, StoreError
from stresnet.files import DAMAGE, atomic_write, require_writable
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
from stresnet.idt.layout import Float32, optional
from stresnet.jobs import write_failures
from stresnet.progress import OnProgress, Progress, silent

CODEBOOK, VECTORS = "codebook.safetensors", "vectors"
COST = 100.0  # C: what a training video on the wrong side costs
BLOCK = 256  # vectors in memory

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
    require_writable(out)
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
    except DAMAGE as error:
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
    except DAMAGE:
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


def train_and_test(
    folder: Path, training: Sequence[VideoItem], tested: Sequence[VideoItem]
) -> tuple[tuple[str, ...], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Train on some videos of a folder that `encode` wrote, and score others.

    Memory: 8 N² bytes for N videos.

    Returns:
        The names of the classes (K), scores (n, K) and true classes (n,) of the n test videos.

    Raises:
        DatasetError: there are fewer than two classes for training or no test videos, or some of
            a class without training videos.
        StoreError: a vector is missing or damaged.
        EnvironmentProblem: scikit-learn is missing.
    """
    labels = np.array([video.label for video in training])
    class_names = tuple(sorted(set(labels.tolist())))
    strange = sorted({video.label for video in tested} - set(class_names))
    if len(class_names) < 2 or not tested or strange:
        raise DatasetError(
            f"{folder}: vectors of {len(class_names)} classes to train on and of {len(tested)} "
            "test videos" + (f", some of {', '.join(strange)} alone" if strange else ""),
            remedy="expected two classes or more, and test videos of them; see its failures.csv",
        )
    svm = optional("sklearn.svm")
    names = [video.name for video in (*training, *tested)]
    products = _inner_products(folder, names, len(training))
    of_training, of_tested = np.split(products, [len(training)])
    scores = [
        svm.SVC(C=COST, kernel="precomputed")
        .fit(of_training, labels == name)
        .decision_function(of_tested)
        for name in class_names
    ]
    truth = np.array([class_names.index(video.label) for video in tested])
    return class_names, np.stack(scores, axis=1), truth


def _inner_products(folder: Path, names: list[str], count: int) -> npt.NDArray[np.float64]:
    """(N, count) of all videos' vectors with those of the first; two blocks at a time."""
    products = np.empty((len(names), count))
    for top in range(0, len(names), BLOCK):
        rows = _vectors(folder, names[top : top + BLOCK])
        for left in range(0, min(top + 1, count), BLOCK):
            columns = rows if left == top else _vectors(folder, names[left : left + BLOCK])
            block = rows @ columns.T
            products[top : top + BLOCK, left : left + BLOCK] = block[:, : count - left]
            if top < count:
                products[left : left + BLOCK, top : top + BLOCK] = block.T[:, : count - top]
    return products


def _vectors(folder: Path, names: list[str]) -> Float32:
    """(n, D)."""
    return np.stack([load_vector(folder, name) for name in names])
