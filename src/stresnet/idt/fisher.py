"""The improved Fisher vector (Perronnin, Sánchez, Mensink, ECCV 2010; Sánchez et al., IJCV 2013).

How a mixture of Gaussians would have to change to fit a video's descriptors better: the gradients
by its means and by its deviations, 2 K D numbers.
"""

from __future__ import annotations

import numpy as np

from stresnet.idt.layout import Float32
from stresnet.idt.mixture import Mixture, Sums


def fisher_vector(mixture: Mixture, sums: Sums) -> Float32:
    """(2 K D,): of the points that the sums are over; 0 without any.

    By the means, then by the deviations, each Gaussian after Gaussian (IJCV 2013, equations 17
    and 18):

        1 / (T √w)    Σ γ (x - μ) / σ
        1 / (T √(2w)) Σ γ ((x - μ)² / σ² - 1)
    """
    weights, means = mixture.weights[:, None].astype(np.float64), mixture.means.astype(np.float64)
    variances = mixture.variances.astype(np.float64)
    shares = sums.shares[:, None]
    centred = sums.firsts - shares * means
    squared = sums.seconds - 2 * means * sums.firsts + shares * means**2
    by_means = centred / np.sqrt(weights * variances)
    by_deviations = (squared / variances - shares) / np.sqrt(2 * weights)
    gradients = np.concatenate([by_means.ravel(), by_deviations.ravel()])
    return np.asarray(gradients / max(sums.points, 1), dtype=np.float32)


def improved(vector: Float32) -> Float32:
    """Signed square roots, then length 1; 0 stays 0."""
    roots = np.sign(vector) * np.sqrt(np.abs(vector))
    length = np.linalg.norm(roots)
    return np.asarray(roots / length if length > 0 else roots, dtype=np.float32)
