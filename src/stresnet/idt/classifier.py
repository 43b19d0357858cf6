"""Linear support vector machines on the vectors, one class against the rest (C = 100).

They are trained and asked in their dual form: the vectors' inner products, (N, N), are far fewer
numbers than the vectors, (N, 101376), which are read a block at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stresnet.data.splits.split import VideoItem
from stresnet.errors import DatasetError
from stresnet.idt.encoding import load_vector
from stresnet.idt.layout import Float32
from stresnet.idt.libraries import optional

COST = 100.0  # C: what a training video on the wrong side costs
BLOCK = 256  # vectors in memory


@dataclass(frozen=True)
class Tested:
    """What the machines say of the test videos: names (n), scores (n, K), true classes (n,)."""

    names: tuple[str, ...]
    class_names: tuple[str, ...]
    scores: npt.NDArray[np.float64]
    truth: npt.NDArray[np.int64]


def train_and_test(
    folder: Path, training: Sequence[VideoItem], tested: Sequence[VideoItem]
) -> Tested:
    """Train on some videos of a folder that `encode` wrote, and score others.

    Memory: 8 N² bytes for N videos.

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
    return Tested(
        names=tuple(video.name for video in tested),
        class_names=class_names,
        scores=np.stack(scores, axis=1),
        truth=np.array([class_names.index(video.label) for video in tested]),
    )


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
