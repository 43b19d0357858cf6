"""ST-ResNet as a scikit-learn classifier: videos in, labels out.

>>> from sklearn.model_selection import cross_val_score
>>> from stresnet.classifier import STResNetClassifier
>>> cross_val_score(STResNetClassifier(), paths, labels, cv=5)

Needs `pip install 'stresnet[sklearn]'`.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stresnet.data.prepare.one import prepare_frames
from stresnet.data.prepare.preparation import HowPrepared
from stresnet.data.store.location import default_store, store_path
from stresnet.errors import EnvironmentProblem, StresnetError, UsageError, in_short
from stresnet.model import load_model
from stresnet.prediction.input_video import as_array
from stresnet.prediction.recognise import recognise_each
from stresnet.training.recipe import PHASES, Recipe
from stresnet.training.recipes import recipe_named
from stresnet.training.run import train
from stresnet.training.runtime import Execution

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
except ImportError as error:
    raise EnvironmentProblem(
        "STResNetClassifier needs scikit-learn, which is not installed",
        remedy="pip install 'stresnet[sklearn]'",
    ) from error

FPS = 25.0  # of frames in arrays; only durations in messages depend on it

# Paths, or frames each, in every form that `stresnet.predict` takes.
Videos: TypeAlias = Sequence[str | Path | NDArray[np.uint8]] | NDArray[Any]


class STResNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains as `stresnet.train` does, and scores as `stresnet.predict`.

    From a script, use it under `if __name__ == "__main__":`, like all multiprocessing.

    Args:
        recipe, weights, phases, seed, workers, device, precision: as in `stresnet.train`, the last
            two also for predictions; a grid search may vary all of them, including recipes of your
            own.
        store: folder of prepared videos, which all folds and candidates share. None: the default
            store of the whole file system.
        out: the run's folder, from which the same fit resumes if interrupted. None: a temporary
            one, as each fit of a search needs its own.

    Attributes:
        classes_: (K,) the labels, sorted.
        model_: the trained `STResNet`; `model_.save_pretrained(folder)` keeps it.
    """

    def __init__(
        self,
        *,
        recipe: str | Recipe = "quick",
        weights: str | Path | None = None,
        phases: Sequence[str] = PHASES,
        store: str | Path | None = None,
        out: str | Path | None = None,
        seed: int = 0,
        workers: int = 1,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.recipe = recipe
        self.weights = weights
        self.phases = phases
        self.store = store
        self.out = out
        self.seed = seed
        self.workers = workers
        self.device = device
        self.precision = precision

    def fit(self, X: Videos, y: ArrayLike) -> STResNetClassifier:
        """Train on all of the videos.

        Args:
            X: paths, or frames (N,H,W,3) uint8 RGB; each video once.
            y: (len(X),) labels, strings or whole numbers, at least two different ones.

        Raises:
            UsageError: labels that read alike, or frames that are not a video.
            All that `stresnet.train` raises.
        """
        check_consistent_length(X, y)
        labels = column_or_1d(y)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        names = class_names(self.classes_)
        preparing = recipe_named(self.recipe).preparing
        store = Path(self.store or default_store(Path.cwd().anchor, **preparing)).absolute()
        with TemporaryDirectory(prefix="stresnet-") as folder:
            videos = Path(folder) / "videos.csv"
            with videos.open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file)
                table.writerow(("path", "label", "split"))
                for video, index in zip(X, indices, strict=True):
                    path = listed(video, store, preparing, self.device)
                    table.writerow((path, names[index], "train"))
            trained = train(
                videos,
                self.out or Path(folder) / "run",
                recipe=self.recipe,
                weights=self.weights,
                store=store,
                phases=self.phases,
                seed=int(self.seed),  # a grid's may be numpy's
                execution=Execution(self.device, self.precision, int(self.workers)),
            )
            self.model_ = load_model(trained, device=self.device)
        return self

    def predict_proba(self, X: Videos) -> NDArray[np.float32]:
        """Return softmax scores of both streams together, (len(X), K), as `classes_` is ordered.

        Raises:
            VideoError, DatasetError: a video that cannot be used.
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        names = class_names(self.classes_)
        rows = []
        for _, found in recognise_each(
            self.model_,
            X,
            timeline=False,
            top_k=len(names),
            device=self.device,
            precision=self.precision,
            workers=int(self.workers),
        ):
            if isinstance(found, StresnetError):
                raise found
            score_of = {entry.label: entry.score for entry in found.predictions}
            rows.append([score_of[name] for name in names])
        return np.array(rows, np.float32)

    def predict(self, X: Videos) -> NDArray[Any]:
        """Return the best class of each video, (len(X),); errors as in `predict_proba`."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


def class_names(classes: NDArray[Any]) -> list[str]:
    """Return the labels as text, the way a network and its lists hold them.

    Raises:
        UsageError: two read alike, or one is empty.
    """
    names = [str(label).strip() for label in classes]
    if len(set(names)) < len(names) or "" in names:
        raise UsageError(
            f"labels read alike or are empty: {in_short(names)}", remedy="give each class a name"
        )
    return names


def listed(
    video: str | Path | NDArray[np.uint8],
    store: Path,
    preparing: HowPrepared,
    device: str = "auto",
) -> str:
    """Return what a list calls a video; frames, which no file holds, are prepared at once.

    Raises:
        UsageError: the frames are not a video.
        EnvironmentProblem: the store cannot be written.
    """
    if isinstance(video, str | Path):
        return str(Path(video).absolute())
    frames = as_array(video)
    shape = "x".join(map(str, frames.shape))
    digest = hashlib.sha256(frames.tobytes() + repr(preparing).encode()).hexdigest()
    name = f"arrays/{digest}-{shape}"
    if not store_path(store, name).exists():
        prepare_frames(frames, store_path(store, name), fps=FPS, **preparing, device=device)
    return name
