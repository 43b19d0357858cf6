"""STResNetClassifier keeps scikit-learn's promises. Networks of two training steps."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stresnet
from making_stores import without_processes
from making_videos import moving_texture, write_video
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, UsageError, VideoError
from stresnet.prediction.recognise import predict
from stresnet.training import loop
from stresnet.training.recipe import Recipe
from stresnet.training.recipes import PAPER, QUICK

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from stresnet.classifier import STResNetClassifier, listed

MOTION = QUICK.phase("motion")
STEPS = {"left": -2, "right": 2}  # px a frame


def toy_recipe(rate: float = 1e-2) -> Recipe:
    phase = replace(MOTION, batch=2, norm_group=2, unit="iterations", schedule=((rate, 1),))
    return replace(QUICK, depth="tiny", input_size=32, phases=(phase,))


def toy(store: Path | None = None, **parameters: Any) -> STResNetClassifier:
    return STResNetClassifier(
        **{"recipe": toy_recipe(), "phases": ("motion",), "workers": 0, "precision": "fp32"}
        | {"store": store}
        | parameters
    )


def clip(label: str, seed: int) -> np.ndarray:
    return moving_texture(7, 40, 48, step=(STEPS[label], 0), seed=seed)


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[str]]:
    """Two clips of each class."""
    folder = tmp_path_factory.mktemp("clips")
    labels = ["right", "left", "right", "left"]
    paths = [
        write_video(folder / f"{number}.mp4", clip(label, number))
        for number, label in enumerate(labels)
    ]
    return paths, labels


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: what was computed before is not computed again."""
    return tmp_path_factory.mktemp("store")


def test_fitted_it_predicts_as_predict_does(videos, store, capsys):
    paths, labels = videos
    classifier = toy(store)
    assert classifier.fit(paths, labels) is classifier
    assert classifier.classes_.tolist() == ["left", "right"]
    assert not capsys.readouterr().out
    scores = classifier.predict_proba([*paths, paths[0]])  # twice is no fault here
    assert scores.shape == (5, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    expected = predict(classifier.model_, paths[1])
    assert dict(zip(classifier.classes_, scores[1], strict=True)) == pytest.approx(
        {entry.label: entry.score for entry in expected.predictions}
    )
    best = classifier.predict(paths)
    assert best.tolist() == [classifier.classes_[i] for i in scores[:4].argmax(axis=1)]
    assert classifier.score(paths, labels) == np.mean(best == labels)


def test_the_same_fit_again_resumes_from_its_folder(videos, store, tmp_path, monkeypatch):
    paths, labels = videos
    toy(store, out=tmp_path).fit(paths, labels)
    monkeypatch.setattr(loop, "load_groups", lambda *_, **__: pytest.fail("trained again"))
    again = toy(store, out=tmp_path).fit(np.array([str(path) for path in paths]), labels)
    assert again.classes_.tolist() == ["left", "right"]
    with pytest.raises(UsageError, match="holds a run with the seed 0, not 1"):
        toy(store, out=tmp_path, seed=1).fit(paths, labels)


def test_cross_validation_and_grid_search(videos, store):
    paths, labels = videos
    scores = cross_val_score(toy(store), paths, labels, cv=2, error_score="raise")
    assert scores.shape == (2,)
    recipes = [toy_recipe(), toy_recipe(1e-3)]
    fold = [([0, 1], [2, 3])]
    search = GridSearchCV(
        toy(store), {"recipe": recipes}, cv=fold, refit=False, error_score="raise"
    )
    search.fit(paths, labels)
    assert search.best_params_["recipe"] in recipes
    assert len(list(store.rglob("*.zip"))) == len(paths)  # prepared once, whoever asked


def test_a_clone_has_the_parameters_and_nothing_learned(videos, store):
    original = toy(store, seed=3)
    copy = clone(original)
    assert copy.get_params() == original.get_params()
    assert "seed=3" in repr(copy)
    with pytest.raises(NotFittedError):
        copy.predict(videos[0])


def test_frames_and_numbers_in_the_default_store(tmp_path, monkeypatch):
    """Labels stay what they are: 10 comes after 9 here, though "10" comes before "9"."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    X = [clip(label, seed) for seed, label in enumerate(("left", "right"))]
    classifier = toy().fit(X, [10, 9])
    assert classifier.classes_.tolist() == [9, 10]
    assert classifier.model_.class_names == ("10", "9")
    scores = classifier.predict_proba(np.stack(X))
    net_says = predict(classifier.model_, X[0])
    assert scores[0][1] == pytest.approx(
        next(entry.score for entry in net_says.predictions if entry.label == "10")
    )
    assert set(classifier.predict(X)) <= {9, 10}
    assert not list((tmp_path / "temporary").iterdir())
    assert len(list((tmp_path / "store").glob("root-*/arrays/*.zip"))) == 2


def test_frames_are_prepared_once_for_each_way_of_preparing(store):
    frames = clip("left", 0)
    names = {listed(frames, store, recipe.preparing) for recipe in (QUICK, QUICK, PAPER)}
    sides = {StoredVideo(store_path(store, name)).index.preparation["short_side"] for name in names}
    assert len(names) == len(sides) == 2


@pytest.mark.parametrize("labels", [["a", "a "], ["a", " "]])
def test_labels_that_read_alike_are_refused(labels, store):
    with pytest.raises(UsageError, match="alike or are empty"):
        toy(store).fit(["a.mp4", "b.mp4"], labels)


def test_what_cannot_be_used_is_named(videos, store, tmp_path):
    paths, labels = videos
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DatasetError, match=r"1 of 5 videos cannot be used:\n.*empty"):
        toy(store).fit([*paths, tmp_path / "empty.mp4"], [*labels, "left"])
    with pytest.raises(DatasetError, match=r"missing videos.*gone"):
        toy(store).fit([*paths, tmp_path / "gone.mp4"], [*labels, "left"])
    with pytest.raises(VideoError, match="empty"):
        toy(store).fit(paths, labels).predict([tmp_path / "empty.mp4"])
    with pytest.raises(ValueError, match="inconsistent"):
        toy(store).fit(paths, labels[:2])
    with pytest.raises(ValueError, match="continuous"):
        toy(store).fit(paths, [0.1, 0.2, 0.3, 0.4])


def test_without_scikit_learn_the_remedy_is_a_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "stresnet.classifier")
    with pytest.raises(EnvironmentProblem, match=r"pip install 'stresnet\[sklearn\]'"):
        _ = stresnet.STResNetClassifier
