"""A codebook: for each kind of descriptor, half its principal axes and a mixture of Gaussians.

    (n, D) descriptors -> (n, D/2) -> Fisher vector -> square roots, length 1      (ICCV 2013, 3.2)

The Fisher vector (Perronnin, Sánchez, Mensink, ECCV 2010; Sánchez et al., IJCV 2013, equations 17
and 18) says how the mixture would have to change to fit a video's descriptors better: K Gaussians
in D/2 dimensions give K D numbers, by the means and by the deviations. The kinds' vectors are
concatenated: HOG, HOF and MBH make 2 x 256 x (48 + 54 + 96) = 101,376 numbers per video.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from stresnet.errors import DatasetError, StoreError, UsageError
from stresnet.files import atomic_write
from stresnet.idt.feature_file import count_trajectories, iter_blocks
from stresnet.idt.layout import COLUMNS, NUM_COLUMNS, Float32, optional

KINDS: Mapping[str, slice] = {
    "trajectory": COLUMNS["trajectory"],
    "hog": COLUMNS["hog"],
    "hof": COLUMNS["hof"],
    "mbh": slice(COLUMNS["mbhx"].start, COLUMNS["mbhy"].stop),
}
USUAL = ("hog", "hof", "mbh")
GAUSSIANS = 256
SAMPLES = 256_000  # trajectories to learn from
ITERATIONS = 50  # at most
ENOUGH = 1e-3  # gain of the mean log-likelihood that ends learning
LEAST_VARIANCE = 1e-3  # of the points'; a Gaussian must not shrink onto a point
BATCH = 8192  # points that k-means looks at in one step

MIXTURE_PARTS = {"weights": "weights_", "means": "means_", "variances": "covariances_"}

logger = logging.getLogger(__name__)


def gaussian_mixture(weights: Float32, means: Float32, variances: Float32) -> Any:
    """Return K Gaussians in D dimensions as a fitted `sklearn.mixture.GaussianMixture`.

    Args:
        weights: (K,).
        means, variances: (K, D).
    """
    fitted = optional("sklearn.mixture").GaussianMixture(len(weights), covariance_type="diag")
    fitted.weights_, fitted.means_, fitted.covariances_ = weights, means, variances
    fitted.precisions_cholesky_ = 1 / np.sqrt(variances)
    return fitted


def learn_mixture(points: Float32, gaussians: int, *, seed: int = 0) -> Any:
    """Fit a `gaussian_mixture` to points (n, D) by expectation maximisation, from k-means."""
    points = np.ascontiguousarray(points, np.float32)
    least = float(points.var(axis=0).min() * LEAST_VARIANCE) or float(np.finfo(np.float32).eps)
    k_means = optional("sklearn.cluster").MiniBatchKMeans(
        gaussians, batch_size=BATCH, n_init=1, random_state=seed
    )
    clusters = k_means.fit(points)
    spread = np.mean((points - clusters.cluster_centers_[clusters.labels_]) ** 2, axis=0) + least
    mixture = optional("sklearn.mixture").GaussianMixture(
        gaussians,
        covariance_type="diag",
        tol=ENOUGH,
        max_iter=ITERATIONS,
        reg_covar=least,
        weights_init=np.full(gaussians, 1 / gaussians, np.float32),
        means_init=clusters.cluster_centers_.astype(np.float32),
        precisions_init=np.repeat(1 / spread[None], gaussians, axis=0).astype(np.float32),
        random_state=seed,
    )
    with warnings.catch_warnings():  # fifty iterations are enough, converged or not
        warnings.simplefilter("ignore", optional("sklearn.exceptions").ConvergenceWarning)
        mixture.fit(points)
    parts = (getattr(mixture, part) for part in MIXTURE_PARTS.values())
    return gaussian_mixture(*(np.ascontiguousarray(part, np.float32) for part in parts))


def fisher_sum(mixture: Any, points: Float32) -> NDArray[np.float64]:
    """Compute n times the Fisher vector (2 K D,) of points (n, D), by means, then by deviations."""
    if not len(points):
        return np.zeros(2 * mixture.means_.size)
    vector = optional("skimage.feature").fisher_vector(points, mixture)
    # After the gradients by the weights; scikit-image counts deviations the other way.
    by_means, by_deviations = np.split(vector[len(mixture.weights_) :], 2)
    return len(points) * np.concatenate([by_means, -by_deviations])


def improved(vector: NDArray[np.floating]) -> Float32:
    """Take signed square roots, then scale to length 1; 0 stays 0."""
    roots = np.sign(vector) * np.sqrt(np.abs(vector))
    length = np.linalg.norm(roots)
    return np.asarray(roots / length if length > 0 else roots, dtype=np.float32)


@dataclass(frozen=True)
class Words:
    """One kind of descriptor: its centre (D,), principal axes (D/2, D), and mixture."""

    centre: Float32
    axes: Float32
    mixture: Any

    def reduced(self, descriptors: Float32) -> Float32:
        """(n, D) -> (n, D/2)."""
        return np.asarray((descriptors - self.centre) @ self.axes.T, np.float32)


@dataclass(frozen=True)
class Codebook:
    """The words of every kind of descriptor, by name."""

    words: Mapping[str, Words]

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return sum(2 * words.mixture.means_.size for words in self.words.values())

    def encode(self, blocks: Iterable[Float32]) -> Float32:
        """Encode a video's trajectories, blocks of (n, 436), as one vector; zeros if none."""
        sums = {kind: np.zeros(2 * words.mixture.means_.size) for kind, words in self.words.items()}
        count = 0
        for block in blocks:
            count += len(block)
            for kind, words in self.words.items():
                sums[kind] += fisher_sum(words.mixture, words.reduced(block[:, KINDS[kind]]))
        return np.concatenate([improved(vector / max(count, 1)) for vector in sums.values()])

    def save(self, path: Path, learnt_from: str) -> None:
        """Write a safetensors file; `learnt_from` is kept for `load_codebook`.

        Raises:
            EnvironmentProblem: the disk is full or the folder cannot be written.
        """
        arrays: dict[str, Float32] = {}
        for kind, words in self.words.items():
            arrays |= {f"{kind}.centre": words.centre, f"{kind}.axes": words.axes}
            mixture = {name: getattr(words.mixture, part) for name, part in MIXTURE_PARTS.items()}
            arrays |= {f"{kind}.{name}": array for name, array in mixture.items()}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        header = json.dumps({"learnt_from": learnt_from, "kinds": list(self.words)})
        with atomic_write(path) as partial:
            save_file(arrays, partial, {"codebook": header})


def load_codebook(path: Path) -> tuple[Codebook, str]:
    """Read a codebook, and what it was learnt from.

    Raises:
        StoreError: the file is missing, damaged or not a codebook.
    """
    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {})["codebook"])
            words = {
                kind: Words(
                    file.get_tensor(f"{kind}.centre"),
                    file.get_tensor(f"{kind}.axes"),
                    gaussian_mixture(*(file.get_tensor(f"{kind}.{p}") for p in MIXTURE_PARTS)),
                )
                for kind in header["kinds"]
            }
            return Codebook(words), header["learnt_from"]
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StoreError(
            f"{path}: the codebook cannot be read ({error})",
            remedy="delete it and run `stresnet idt evaluate` again",
        ) from error


def learn_codebook(
    sample: Float32,
    *,
    kinds: Sequence[str] = USUAL,
    gaussians: int = GAUSSIANS,
    seed: int = 0,
) -> Codebook:
    """Learn from a sample (n, 436) of training videos' trajectories.

    Raises:
        UsageError: there is no such kind of descriptor, or no kind.
        DatasetError: the sample has fewer trajectories than the mixture has Gaussians.
        EnvironmentProblem: scikit-learn is missing.
    """
    principal_axes = optional("sklearn.decomposition").PCA
    if not kinds or not set(kinds) <= set(KINDS):
        raise UsageError(
            f"descriptors {', '.join(kinds) or '(none)'}; expected some of {', '.join(KINDS)}"
        )
    if len(sample) < max(gaussians, 2):
        raise DatasetError(
            f"{len(sample)} trajectories in the training videos, too few for {gaussians} Gaussians",
            remedy="give more or longer videos in which something moves, or fewer --gaussians",
        )
    words = {}
    for kind in dict.fromkeys(kinds):
        logger.info(
            "learning %d Gaussians of %s from %d trajectories", gaussians, kind, len(sample)
        )
        descriptors = np.ascontiguousarray(sample[:, KINDS[kind]])
        pca = principal_axes(descriptors.shape[1] // 2, svd_solver="covariance_eigh")
        pca.fit(descriptors)
        # Laid out as they will be when read again: the same sums, to the last bit.
        centre, axes = (
            np.ascontiguousarray(part, np.float32) for part in (pca.mean_, pca.components_)
        )
        reduced = np.asarray((descriptors - centre) @ axes.T, np.float32)
        words[kind] = Words(centre, axes, learn_mixture(reduced, gaussians, seed=seed))
    return Codebook(words)


def sampled(files: Sequence[Path], count: int = SAMPLES, *, seed: int = 0) -> Float32:
    """Draw `count` trajectories (n, 436) from all of the files, or all if there are fewer.

    Raises:
        StoreError: a file is missing or damaged.
    """
    ends = np.cumsum([count_trajectories(file) for file in files])
    total = int(ends[-1]) if len(ends) else 0
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(total, min(count, total), replace=False))
    rows = np.empty((len(drawn), NUM_COLUMNS), np.float32)
    begin = 0  # of a block, counted over all files
    for file in files:
        for block in iter_blocks(file):
            first, last = np.searchsorted(drawn, (begin, begin + len(block)))
            rows[first:last] = block[drawn[first:last] - begin]
            begin += len(block)
    return rows
