"""Mixtures, Fisher vectors, support vector machines: against direct evaluation and libraries."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from making_stores import contents
from making_trajectories import made_up, made_up_data, write_made_up
from stresnet.data.splits.split import Split, VideoItem
from stresnet.errors import DatasetError, StoreError, UsageError
from stresnet.idt import encoding
from stresnet.idt.codebook import (
    KINDS,
    fisher_sum,
    gaussian_mixture,
    improved,
    learn_codebook,
    learn_mixture,
    load_codebook,
    sampled,
)
from stresnet.idt.encoding import encode, load_vector, train_and_test, vector_path


def points_of(count=300, dimensions=3, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (4, dimensions))
    return (centres[rng.integers(0, 4, count)] + rng.normal(size=(count, dimensions))).astype("f4")


def mixture_of(gaussians=4, dimensions=3, seed=1):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1, gaussians)
    return gaussian_mixture(
        (weights / weights.sum()).astype("f4"),
        rng.normal(0, 3, (gaussians, dimensions)).astype("f4"),
        rng.uniform(0.5, 2, (gaussians, dimensions)).astype("f4"),
    )


def test_learning_finds_the_groups_and_does_not_shrink_onto_a_point():
    points = np.concatenate([points_of(4000), np.full((500, 3), 9, "f4")])
    mixture = learn_mixture(points, 8)
    assert np.isfinite(mixture.means_).all() and mixture.weights_.sum() == pytest.approx(1)
    assert (mixture.covariances_ >= 0.999e-3 * points.var(axis=0).min()).all()
    assert mixture.score(points) > learn_mixture(points, 1).score(points) + 1
    again = learn_mixture(points, 8)
    np.testing.assert_array_equal(mixture.means_, again.means_)


def fisher_vector(mixture, points):
    return fisher_sum(mixture, points) / len(points)


def test_the_fisher_vector_is_the_mean_over_blocks():
    mixture, points = mixture_of(), points_of()
    blocks = sum(fisher_sum(mixture, block) for block in (points[:7], points[7:7], points[7:]))
    np.testing.assert_allclose(blocks / 300, fisher_vector(mixture, points), rtol=1e-4, atol=1e-6)


def test_the_fisher_vector_equals_the_formula_written_out():
    mixture, points = mixture_of(), points_of(40)
    shares = mixture.predict_proba(points)
    expected = np.zeros((2, 4, 3))
    for x, gamma in zip(points.astype(float), shares.astype(float), strict=True):
        for k in range(4):
            off = (x - mixture.means_[k]) / np.sqrt(mixture.covariances_[k])
            expected[0, k] += gamma[k] * off / np.sqrt(mixture.weights_[k])
            expected[1, k] += gamma[k] * (off**2 - 1) / np.sqrt(2 * mixture.weights_[k])
    found = fisher_vector(mixture, points)
    np.testing.assert_allclose(found, (expected / 40).ravel(), rtol=1e-3, atol=1e-4)


def test_points_drawn_from_the_mixture_have_a_small_fisher_vector():
    mixture = mixture_of()
    drawn = mixture.set_params(random_state=0).sample(20_000)[0].astype("f4")
    far = fisher_vector(mixture, drawn + 1)
    near = fisher_vector(mixture, drawn)
    assert np.abs(near).max() < 0.03 < 0.3 < np.abs(far).max()


def test_improved_vectors_have_length_one_and_keep_signs():
    vector = np.array([4, -9, 0, 0.25], "f4")
    roots = np.array([2, -3, 0, 0.5])
    np.testing.assert_allclose(improved(vector), roots / np.linalg.norm(roots), rtol=1e-6)
    assert not improved(np.zeros(4, "f4")).any()


@pytest.fixture(scope="module")
def codebook():
    return learn_codebook(made_up(500), gaussians=2)


def test_a_codebook_halves_every_descriptor(codebook):
    sizes = {kind: words.axes.shape for kind, words in codebook.words.items()}
    assert sizes == {"hog": (48, 96), "hof": (54, 108), "mbh": (96, 192)}
    assert codebook.size == 2 * 2 * (48 + 54 + 96)
    assert 2 * 256 * (48 + 54 + 96) == 101_376


def test_axes_are_those_of_the_largest_variance(codebook):
    rows = made_up(500)[:, KINDS["hog"]]
    reduced = codebook.words["hog"].reduced(rows)
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1][:48]
    np.testing.assert_allclose(reduced.var(axis=0, ddof=1), values, rtol=1e-3)


def test_a_videos_vector_does_not_depend_on_the_blocks(codebook):
    rows = made_up(90, seed=3)
    whole = codebook.encode([rows])
    np.testing.assert_allclose(codebook.encode([rows[:11], rows[11:]]), whole, atol=1e-5)
    assert whole.shape == (codebook.size,)
    assert np.linalg.norm(whole) == pytest.approx(3**0.5, rel=1e-5)  # of three kinds
    assert not codebook.encode([]).any()


def test_codebooks_are_kept(codebook, tmp_path):
    path = tmp_path / "codebook.safetensors"
    codebook.save(path, "that")
    kept, learnt_from = load_codebook(path)
    assert learnt_from == "that"
    rows = made_up(30)
    np.testing.assert_array_equal(kept.encode([rows]), codebook.encode([rows]))
    for damaged in (path.read_bytes()[:99], b""):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="the codebook cannot be read"):
            load_codebook(path)


def test_what_cannot_be_learnt_is_said():
    with pytest.raises(UsageError, match=r"descriptors hog, surf; expected some of trajectory"):
        learn_codebook(made_up(50), kinds=("hog", "surf"))
    with pytest.raises(DatasetError, match="50 trajectories in the training videos, too few"):
        learn_codebook(made_up(50), gaussians=51)


def test_a_sample_is_drawn_from_all_files_alike(tmp_path):
    rows = [made_up(count, seed=count) for count in (40, 0, 160)]
    files = [write_made_up(tmp_path, f"{n}.avi", part) for n, part in enumerate(rows)]
    drawn = sampled(files, 50)
    everything = np.concatenate(rows)
    assert drawn.shape == (50, 436)
    places = [np.flatnonzero(everything[:, 1] == row[1]) for row in drawn]
    assert len(np.unique(np.concatenate(places))) == 50
    assert 2 < sum(place < 40 for (place,) in places) < 20
    assert len(sampled(files, 500)) == 200
    assert len(sampled([], 10)) == 0


def encoded_by_two(features, split, out, **options):
    return encode(features, split, out, **{"gaussians": 2, **options})


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idt")
    split = made_up_data(folder / "features")
    assert encoded_by_two(folder / "features", split, folder / "encoded") == {}
    return folder, split


def test_the_codebook_is_of_the_training_videos_alone(encoded, tmp_path):
    folder, split = encoded
    fewer = Split(split.class_names, split.train, split.test[:1])
    encoded_by_two(folder / "features", fewer, tmp_path)
    one = (folder / "encoded" / "codebook.safetensors").read_bytes()
    assert (tmp_path / "codebook.safetensors").read_bytes() == one
    turned = Split(split.class_names, split.test, split.train)
    encoded_by_two(folder / "features", turned, tmp_path)
    assert (tmp_path / "codebook.safetensors").read_bytes() != one


def test_encoding_goes_on_where_it_was(encoded):
    folder, split = encoded
    out = folder / "encoded"
    before = contents(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    changed = vector_path(out, "a/0.avi")
    changed.write_bytes(b"damaged")
    assert encoded_by_two(folder / "features", split, out) == {}
    assert contents(out) == before
    same = [path for path, time in times.items() if path.stat().st_mtime_ns == time]
    assert len(same) == len(times) - 1


def test_videos_without_features_are_listed_and_left_out(encoded, tmp_path):
    folder, split = encoded
    lost = VideoItem(tmp_path, "a", "a/lost.avi")
    more = Split(split.class_names, (*split.train, lost), split.test)
    ((name, reason),) = encoded_by_two(folder / "features", more, tmp_path).items()
    assert name == "a/lost.avi" and "idt extract" in reason
    assert "a/lost.avi" in (tmp_path / "failures.csv").read_text()
    assert not vector_path(tmp_path, name).exists()


def test_machines_equal_those_trained_on_the_vectors_themselves(encoded):
    from sklearn.svm import SVC

    folder, split = encoded
    training, tested = (
        np.stack([load_vector(folder / "encoded", video.name) for video in videos])
        for videos in (split.train, split.test)
    )
    labels = np.array([video.label for video in split.train])
    names, scores, _ = train_and_test(folder / "encoded", split.train, split.test)
    assert names == ("a", "b", "c")
    for place, name in enumerate("abc"):
        theirs = SVC(C=100, kernel="linear").fit(training, labels == name)
        expected = theirs.decision_function(tested)
        np.testing.assert_allclose(scores[:, place], expected, atol=2e-3)


@pytest.mark.parametrize("block", [2, 4, 9])
def test_inner_products_in_small_blocks_are_the_same(encoded, monkeypatch, block):
    folder, split = encoded
    names = [video.name for video in (*split.train, *split.test)]
    vectors = np.stack([load_vector(folder / "encoded", name) for name in names])
    monkeypatch.setattr(encoding, "BLOCK", block)
    found = encoding._inner_products(folder / "encoded", names, len(split.train))
    np.testing.assert_allclose(found, vectors @ vectors[: len(split.train)].T, atol=1e-5)


def test_classes_that_differ_are_told_apart(encoded):
    folder, split = encoded
    _, scores, truth = train_and_test(folder / "encoded", split.train, split.test)
    assert truth.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(scores.argmax(axis=1), truth)


def test_what_lacks_for_training_and_testing_is_said(encoded, tmp_path):
    folder, split = encoded
    with pytest.raises(DatasetError, match="1 classes to train on and of 6 test videos"):
        train_and_test(folder / "encoded", split.train[:3], split.test)
    with pytest.raises(DatasetError, match=r"of 0 test videos.*failures.csv"):
        train_and_test(folder / "encoded", split.train, ())
    with pytest.raises(DatasetError, match="some of c alone"):
        train_and_test(folder / "encoded", split.train[:6], split.test)
    with pytest.raises(StoreError, match="the vector cannot be read"):
        train_and_test(tmp_path, split.train, split.test)
