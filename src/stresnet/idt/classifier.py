"""Linear support vector machines on the vectors, one class against the rest (C = 100).

They are solved in their dual form from the vectors' inner products, (N, N), which is much smaller
than the vectors themselves, (N, 101376); the vectors are read a block at a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from stresnet.errors import DatasetError, StoreError
from stresnet.files import atomic_write
from stresnet.idt.codebook import load_codebook
from stresnet.idt.encoding import CODEBOOK, Encoded, encoded_videos, load_vector
from stresnet.idt.layout import Float32
from stresnet.idt.libraries import optional

CLASSIFIER = "classifier.safetensors"
COST = 100.0  # C: what a training video on the wrong side costs
BLOCK = 256  # vectors in memory


@dataclass(frozen=True)
class Classifier:
    """Scores are vectors (n, D) @ weights (K, D).T + biases (K,).

    Attributes:
        learnt_from: identifies the codebook of the vectors, see `load_codebook`.
    """

    learnt_from: str
    class_names: tuple[str, ...]
    weights: Float32
    biases: Float32

    def scores(self, vectors: Float32) -> Float32:
        """(n, D) -> (n, K)."""
        return vectors @ self.weights.T + self.biases

    def save(self, path: Path) -> None:
        """Write a safetensors file.

        Raises:
            EnvironmentProblem: the disk is full or the folder cannot be written.
        """
        header = json.dumps({"learnt_from": self.learnt_from, "class_names": self.class_names})
        with atomic_write(path) as partial:
            arrays = {"weights": self.weights, "biases": self.biases}
            save_file(arrays, partial, {"classifier": header})


def load_classifier(path: Path) -> Classifier:
    """Read what `Classifier.save` wrote.

    Raises:
        StoreError: the file is missing, damaged or not a classifier.
    """
    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {})["classifier"])
            return Classifier(
                header["learnt_from"],
                tuple(header["class_names"]),
                file.get_tensor("weights"),
                file.get_tensor("biases"),
            )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StoreError(
            f"{path}: the classifier cannot be read ({error})", remedy="run `stresnet idt train`"
        ) from error


def train(folder: Path) -> Classifier:
    """Train on the training videos of a folder that `encode` wrote, and save the result there.

    Memory: 8 N² bytes for N videos, and K D numbers for K classes.

    Raises:
        DatasetError: it is not such a folder, or has fewer than two classes for training.
        StoreError: a vector is missing or damaged.
        EnvironmentProblem: scikit-learn is missing, or the folder cannot be written.
    """
    videos = [video for video in encoded_videos(folder) if video.split == "train"]
    labels = np.array([video.label for video in videos])
    class_names = tuple(sorted(set(labels.tolist())))
    if len(class_names) < 2:
        raise DatasetError(
            f"{folder}: {len(class_names)} classes to train on, expected at least 2",
            remedy="see its failures.csv and split.csv",
        )
    svm = optional("sklearn.svm")
    products = _inner_products(folder, videos)
    multipliers = np.zeros((len(class_names), len(videos)), np.float32)
    biases = np.zeros(len(class_names), np.float32)
    for place, name in enumerate(class_names):
        machine = svm.SVC(C=COST, kernel="precomputed").fit(products, labels == name)
        multipliers[place, machine.support_] = machine.dual_coef_[0]
        biases[place] = machine.intercept_[0]
    weights = sum(
        multipliers[:, begin : begin + BLOCK] @ _vectors(folder, videos[begin : begin + BLOCK])
        for begin in range(0, len(videos), BLOCK)
    )
    _, learnt_from = load_codebook(folder / CODEBOOK)
    classifier = Classifier(learnt_from, class_names, np.asarray(weights, np.float32), biases)
    classifier.save(folder / CLASSIFIER)
    return classifier


def _inner_products(folder: Path, videos: list[Encoded]) -> npt.NDArray[np.float64]:
    """(N, N), two blocks of vectors at a time."""
    products = np.empty((len(videos), len(videos)))
    for top in range(0, len(videos), BLOCK):
        rows = _vectors(folder, videos[top : top + BLOCK])
        for left in range(0, top + 1, BLOCK):
            columns = rows if left == top else _vectors(folder, videos[left : left + BLOCK])
            block = rows @ columns.T
            products[top : top + len(rows), left : left + len(columns)] = block
            products[left : left + len(columns), top : top + len(rows)] = block.T
    return products


def _vectors(folder: Path, videos: list[Encoded]) -> Float32:
    """(n, D)."""
    return np.stack([load_vector(folder, video.name) for video in videos])


def score_tested(folder: Path) -> tuple[Classifier, list[Encoded], Float32]:
    """Score the test videos of a folder: its classifier, the videos and their scores (n, K).

    Raises:
        DatasetError: the folder has no test videos, or some of a class without training videos.
        StoreError: the classifier or a vector is missing, damaged, or of another codebook.
    """
    classifier = load_classifier(folder / CLASSIFIER)
    if classifier.learnt_from != load_codebook(folder / CODEBOOK)[1]:
        raise StoreError(
            f"{folder}: the codebook has changed since the classifier was trained",
            remedy="run `stresnet idt train` again",
        )
    videos = [video for video in encoded_videos(folder) if video.split == "test"]
    if not videos:
        raise DatasetError(f"{folder}: holds no test videos", remedy="see its failures.csv")
    if strange := sorted({video.label for video in videos} - set(classifier.class_names)):
        raise DatasetError(
            f"{folder}: no training video is of class {', '.join(strange)}",
            remedy="see its failures.csv and split.csv",
        )
    rows = [classifier.scores(load_vector(folder, video.name)[None]) for video in videos]
    return classifier, videos, np.concatenate(rows)
