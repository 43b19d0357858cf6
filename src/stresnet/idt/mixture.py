"""A mixture of Gaussians with diagonal covariances, learnt by expectation maximisation.

Learning and the Fisher vector need the same three sums over the points, weighted by how much a
Gaussian has of each. They are taken block by block, so that memory does not grow with the points.
(scikit-learn's GaussianMixture keeps all points' shares of all Gaussians at once, twice and more.)
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from stresnet.idt.layout import Float32
from stresnet.idt.scikit import scikit

Float64 = npt.NDArray[np.float64]

ITERATIONS = 50  # at most
ENOUGH = 1e-3  # gain of the mean log-likelihood that ends learning
LEAST_VARIANCE = 1e-3  # of all points' variance; a Gaussian must not shrink onto a point
BLOCK = 8192  # points


@dataclass(frozen=True)
class Sums:
    """Over T points x (D,), each with its share γ (K,) of every Gaussian.

    Attributes:
        points: T.
        shares: (K,) Σ γ.
        firsts: (K, D) Σ γ x.
        seconds: (K, D) Σ γ x².
        log_likelihood: Σ log p(x).
    """

    points: int
    shares: Float64
    firsts: Float64
    seconds: Float64
    log_likelihood: float

    def __add__(self, other: Sums) -> Sums:
        names = [field.name for field in fields(self)]
        return Sums(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Mixture:
    """K Gaussians in D dimensions: weights (K,), means and variances (K, D), float32."""

    weights: Float32
    means: Float32
    variances: Float32

    def shares(self, points: Float32) -> tuple[Float32, Float32]:
        """Points (n, D) -> their shares γ (n, K) of the Gaussians, and log p (n,)."""
        precisions = 1 / self.variances
        constants = np.log(self.weights) - 0.5 * (
            np.log(2 * np.pi * self.variances) + self.means**2 * precisions
        ).sum(axis=1)
        logs = points @ (self.means * precisions).T - points**2 @ (0.5 * precisions).T + constants
        largest = logs.max(axis=1, keepdims=True)
        np.exp(np.subtract(logs, largest, out=logs), out=logs)
        total = logs.sum(axis=1, keepdims=True)
        return logs / total, (largest + np.log(total))[:, 0]

    def sums(self, points: Float32) -> Sums:
        """Over points (n, D)."""
        shares, logs = self.shares(points)
        return Sums(
            len(points),
            shares.sum(axis=0, dtype=np.float64),
            (shares.T @ points).astype(np.float64),
            (shares.T @ points**2).astype(np.float64),
            float(logs.sum(dtype=np.float64)),
        )

    def no_sums(self) -> Sums:
        """Over no points."""
        nothing = np.zeros(self.means.shape)
        return Sums(0, nothing[:, 0], nothing, nothing, 0.0)


def learn_mixture(points: Float32, gaussians: int, *, seed: int = 0) -> Mixture:
    """Points (n, D) -> the mixture that makes them likely; n is at least `gaussians`.

    It begins with the centres of k-means.
    """
    points = np.ascontiguousarray(points, np.float32)
    least = np.maximum(points.var(axis=0) * LEAST_VARIANCE, np.finfo(np.float32).tiny)
    k_means = scikit("cluster").MiniBatchKMeans
    clusters = k_means(gaussians, batch_size=BLOCK, n_init=1, random_state=seed).fit(points)
    centres = clusters.cluster_centers_.astype(np.float32)
    spread = np.maximum(np.mean((points - centres[clusters.labels_]) ** 2, axis=0), least)
    mixture = Mixture(
        np.full(gaussians, 1 / gaussians, np.float32),
        centres,
        np.repeat(spread[None], gaussians, axis=0),
    )
    before = -np.inf
    for _ in range(ITERATIONS):
        blocks = (points[i : i + BLOCK] for i in range(0, len(points), BLOCK))
        sums = sum(map(mixture.sums, blocks), start=mixture.no_sums())
        mixture = maximised(sums, least)
        likelihood = sums.log_likelihood / len(points)
        if likelihood - before < ENOUGH:
            break
        before = likelihood
    return mixture


def maximised(sums: Sums, least: Float32) -> Mixture:
    """The mixture that fits the shares best; no variance (D,) is below `least`."""
    # A Gaussian that has lost all points keeps a trace of weight, so that logarithms stay finite.
    shares = np.maximum(sums.shares, 1e-6)
    means = sums.firsts / shares[:, None]
    variances = np.maximum(sums.seconds / shares[:, None] - means**2, least)
    weights = shares / shares.sum()
    return Mixture(*(part.astype(np.float32) for part in (weights, means, variances)))
