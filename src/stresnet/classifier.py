"""ST-ResNet as a scikit-learn classifier: videos in, labels out.

>>> from sklearn.model_selection import cross_val_score
>>> from stresnet.classifier import STResNetClassifier
>>> cross_val_score(STResNetClassifier(work="work"), paths, labels, cv=5)

Needs `pip install 'stresnet[sklearn]'`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.prepare.one import prepare_frames
from stresnet.data.prepare.preparation import HowPrepared
from stresnet.data.splits.split import VideoItem, in_short
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, StresnetError, UsageError
from stresnet.files import atomic_write
from stresnet.model import load_model
from stresnet.model.stream import Depth
from stresnet.prediction.recognise import as_array, recognise_each
from stresnet.training.recipes import PHASES, Recipe, recipe_like
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

    From a script, use it under `if __name__ == "__main__":`, as all multiprocessing.

    Args:
        recipe, depth, input_size, weights, phases, seed, workers, device, precision: as of
            `stresnet.train`, the last two also of predictions; a grid search may vary all of them,
            including recipes of your own.
        work: cache folder for each video's optical flow, computed once for all folds and
            candidates, and for each fit's run, which resumes if interrupted. None: no cache.

    Attributes:
        classes_: (K,) the labels, sorted.
        model_: the trained `STResNet`; `model_.save_pretrained(folder)` keeps it.
    """

    def __init__(
        self,
        *,
        recipe: str | Recipe = "quick",
        depth: Depth | None = None,
        input_size: int | None = None,
        weights: str | Path | None = None,
        phases: Sequence[str] = PHASES,
        work: str | Path | None = None,
        seed: int = 0,
        workers: int = 1,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.recipe = recipe
        self.depth = depth
        self.input_size = input_size
        self.weights = weights
        self.phases = phases
        self.work = work
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
            DatasetError: videos that cannot be used, or that are there twice.
            UsageError: labels that read alike.
            All that `stresnet.train` raises.
        """
        check_consistent_length(X, y)
        labels = column_or_1d(y)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        names = class_names(self.classes_)
        with self._work_folder() as work:
            items = [video_item(video, work / "store", self._recipe.preparing) for video in X]
            contents = [video.index.origin.sha256 for video in self._stored(items, work)]
            rows = [(str(item.path), names[i]) for item, i in zip(items, indices, strict=True)]
            run = work / "runs" / self._digest(rows, contents)
            with atomic_write(run / "videos.csv") as partial:
                write_list(partial, rows)
            trained = train(
                run / "videos.csv",
                run,
                recipe=self._recipe,
                weights=self.weights,
                store=work / "store",
                phases=self.phases,
                seed=int(self.seed),  # a grid's may be numpy's
                execution=Execution(self.device, self.precision, int(self.workers)),
            )
            self.model_ = load_model(trained, device=self.device)
        return self

    def predict_proba(self, X: Videos) -> NDArray[np.float32]:
        """Return softmax scores of both streams together, (len(X), K), as `classes_` is ordered.

        Raises:
            DatasetError: videos that cannot be used.
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        names = class_names(self.classes_)
        rows = []
        with self._work_folder() as work:
            items = [video_item(video, work / "store", self._recipe.preparing) for video in X]
            for _, found in recognise_each(
                self.model_,
                self._stored(items, work),
                timeline=False,
                top_k=len(names),
                device=self.device,
                precision=self.precision,
            ):
                if isinstance(found, StresnetError):
                    raise found
                score_of = {entry.label: entry.score for entry in found.predictions}
                rows.append([score_of[name] for name in names])
        return np.array(rows, np.float32)

    def predict(self, X: Videos) -> NDArray[Any]:
        """Return the best class of each video, (len(X),); errors as of `predict_proba`."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    @property
    def _recipe(self) -> Recipe:
        return recipe_like(self.recipe, depth=self.depth, input_size=self.input_size)

    @contextmanager
    def _work_folder(self) -> Iterator[Path]:
        if self.work is not None:
            yield Path(self.work).absolute()
            return
        with TemporaryDirectory(prefix="stresnet-") as folder:
            yield Path(folder)

    def _stored(self, items: Sequence[VideoItem], work: Path) -> list[StoredVideo]:
        """Return each video, prepared."""
        distinct = {item.name: item for item in items}
        prepared = ensure_prepared(
            tuple(distinct.values()), work / "store", **self._recipe.preparing
        )
        if prepared.failures:
            reasons = [f"{name}: {reason}" for name, reason in prepared.failures.items()]
            raise DatasetError(
                f"{len(reasons)} of {len(items)} videos cannot be used: {in_short(reasons, '; ')}",
                remedy="fix them, or leave them out",
            )
        return [StoredVideo(store_path(work / "store", item.name)) for item in items]

    def _digest(self, rows: object, contents: object) -> str:
        """Return a name that tells fits apart by everything that decides what is learned."""
        local = {"work", "workers", "device"}
        parameters = {name: value for name, value in self.get_params().items() if name not in local}
        identity = json.dumps([rows, contents, parameters], default=repr)
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


def class_names(classes: NDArray[Any]) -> list[str]:
    """Return the labels as texts, as a network and its lists hold them.

    Raises:
        UsageError: two read alike, or one is empty.
    """
    names = [str(label).strip() for label in classes]
    if len(set(names)) < len(names) or "" in names:
        raise UsageError(
            f"labels read alike or are empty: {in_short(names)}", remedy="give each class a name"
        )
    return names


def video_item(
    video: str | Path | NDArray[np.uint8], store: Path, preparing: HowPrepared
) -> VideoItem:
    """Name a video; frames are prepared at once, since no file holds them.

    Raises:
        UsageError: the frames are not a video.
        EnvironmentProblem: the store cannot be written.
    """
    if not isinstance(video, str | Path):
        frames = as_array(video)
        shape = "x".join(map(str, frames.shape))
        name = f"arrays/{hashlib.sha256(frames.tobytes()).hexdigest()}-{shape}"
        path = store_path(store, name)
        if not path.exists():
            prepare_frames(frames, path, fps=FPS, **preparing)
        return VideoItem(Path(name), label="", name=name)
    path = Path(video).resolve()
    return VideoItem(path, label="", name=path.relative_to(path.anchor).as_posix())


def write_list(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Write a CSV for `stresnet.train` that trains on every video: (path, label) each."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "split"))
        table.writerows((*row, "train") for row in rows)
