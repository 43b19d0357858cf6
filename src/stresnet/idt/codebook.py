"""What descriptors are told by: for each kind, half its principal axes and a mixture of Gaussians.

    (n, D) descriptors -> (n, D/2) -> Fisher vector -> square roots, length 1      (ICCV 2013, 3.2)

The kinds' vectors stand beside each other: HOG, HOF and MBH make 2 x 256 x (48 + 54 + 96) = 101,376
numbers a video.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from stresnet.errors import DatasetError, StoreError, UsageError
from stresnet.files import atomic_write
from stresnet.idt.feature_file import count_trajectories, iter_blocks
from stresnet.idt.fisher import fisher_vector, improved
from stresnet.idt.layout import COLUMNS, NUM_COLUMNS, Float32
from stresnet.idt.mixture import Mixture, learn_mixture
from stresnet.idt.scikit import scikit

KINDS: Mapping[str, slice] = MappingProxyType(
    {
        "trajectory": COLUMNS["trajectory"],
        "hog": COLUMNS["hog"],
        "hof": COLUMNS["hof"],
        "mbh": slice(COLUMNS["mbhx"].start, COLUMNS["mbhy"].stop),
    }
)
USUAL = ("hog", "hof", "mbh")
GAUSSIANS = 256
SAMPLES = 256_000  # trajectories to learn from


@dataclass(frozen=True)
class Words:
    """One kind of descriptor: its centre (D,), principal axes (D/2, D), and mixture."""

    centre: Float32
    axes: Float32
    mixture: Mixture

    def reduced(self, descriptors: Float32) -> Float32:
        """(n, D) -> (n, D/2)."""
        return np.asarray((descriptors - self.centre) @ self.axes.T, np.float32)


@dataclass(frozen=True)
class Codebook:
    """The words of every kind of descriptor, by its name."""

    words: Mapping[str, Words]

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return sum(2 * words.mixture.means.size for words in self.words.values())

    def encode(self, blocks: Iterable[Float32]) -> Float32:
        """Blocks (n, 436) of a video's trajectories -> its vector; zeros if there are none."""
        sums = {kind: words.mixture.no_sums() for kind, words in self.words.items()}
        for block in blocks:
            for kind, words in self.words.items():
                sums[kind] += words.mixture.sums(words.reduced(block[:, KINDS[kind]]))
        return np.concatenate(
            [
                improved(fisher_vector(words.mixture, sums[kind]))
                for kind, words in self.words.items()
            ]
        )

    def save(self, path: Path, learnt_from: str) -> None:
        """Write a safetensors file; `learnt_from` is kept for `load_codebook`.

        Raises:
            EnvironmentProblem: the disk is full or the folder cannot be written.
        """
        arrays: dict[str, Float32] = {}
        for kind, words in self.words.items():
            arrays |= {f"{kind}.centre": words.centre, f"{kind}.axes": words.axes}
            for field in fields(Mixture):
                arrays[f"{kind}.{field.name}"] = getattr(words.mixture, field.name)
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        said = json.dumps({"learnt_from": learnt_from, "kinds": list(self.words)})
        with atomic_write(path) as partial:
            save_file(arrays, partial, {"codebook": said})


def load_codebook(path: Path) -> tuple[Codebook, str]:
    """A codebook, and what it was learnt from.

    Raises:
        StoreError: the file is missing, damaged or none of a codebook.
    """
    try:
        with safe_open(path, "numpy") as file:
            said = json.loads((file.metadata() or {})["codebook"])
            words = {
                kind: Words(
                    file.get_tensor(f"{kind}.centre"),
                    file.get_tensor(f"{kind}.axes"),
                    Mixture(*(file.get_tensor(f"{kind}.{part.name}") for part in fields(Mixture))),
                )
                for kind in said["kinds"]
            }
            return Codebook(words), said["learnt_from"]
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise StoreError(
            f"{path}: the codebook cannot be read ({error})",
            remedy="delete it and run `stresnet idt encode` again",
        ) from error


def learn_codebook(
    sample: Float32,
    *,
    kinds: Sequence[str] = USUAL,
    gaussians: int = GAUSSIANS,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Codebook:
    """Learn from a sample (n, 436) of training videos' trajectories.

    Raises:
        UsageError: there is no such kind of descriptor, or no kind.
        DatasetError: the sample has fewer trajectories than there are to be Gaussians.
        EnvironmentProblem: scikit-learn is missing.
    """
    principal_axes = scikit("decomposition").PCA
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
        say(f"learning {gaussians} Gaussians of {kind} from {len(sample)} trajectories")
        descriptors = np.ascontiguousarray(sample[:, KINDS[kind]])
        half = descriptors.shape[1] // 2
        pca = principal_axes(half, svd_solver="covariance_eigh").fit(descriptors)
        # Laid out as they will be when read again: the same sums, to the last bit.
        centre, axes = (
            np.ascontiguousarray(part, np.float32) for part in (pca.mean_, pca.components_)
        )
        reduced = np.asarray((descriptors - centre) @ axes.T, np.float32)
        words[kind] = Words(centre, axes, learn_mixture(reduced, gaussians, seed=seed))
    return Codebook(words)


def sampled(files: Sequence[Path], count: int = SAMPLES, *, seed: int = 0) -> Float32:
    """(n, 436): `count` trajectories drawn from all of the files, or all if there are fewer.

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
