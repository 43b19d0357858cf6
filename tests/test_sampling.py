"""Laws of temporal sampling, against brute force on every short video."""

import numpy as np
import pytest

import stresnet.data.loading.sampling as sampling
from stresnet.errors import UsageError

LENGTHS = range(1, 61)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def fitting_centres(num_frames: int) -> list[int]:
    """Frames f whose flow fields f-5 … f+4 all exist, found by trying."""
    fields = range(num_frames - 1)
    return [f for f in range(num_frames) if {f + k for k in range(-5, 5)} <= set(fields)]


@pytest.mark.parametrize("num_frames", LENGTHS)
def test_valid_centres_are_those_whose_flow_exists(num_frames: int) -> None:
    first, last = sampling.valid_centres(num_frames)
    expected = fitting_centres(num_frames) or [num_frames // 2]
    assert list(range(first, last + 1)) == expected


def test_the_centre_is_the_middle_of_the_frames_its_flow_spans() -> None:
    fields = sampling.flow_indices(7)
    spanned = sorted({*fields.tolist(), *(fields + 1).tolist()})
    assert spanned == list(range(2, 13))
    assert sampling.flow_indices(np.array([5, 9])).tolist() == [[*range(10)], [*range(4, 14)]]


@pytest.mark.parametrize("length", range(1, 12))
def test_reflection_is_symmetric_padding(length: int) -> None:
    padded = np.pad(np.arange(length), 30, mode="symmetric")
    assert np.array_equal(sampling.reflect(np.arange(-30, length + 30), length), padded)


@pytest.mark.parametrize("num_frames", range(1, 12))
def test_short_videos_are_padded_alike_at_both_ends(num_frames: int) -> None:
    (centre,) = set(sampling.testing_centres(num_frames).tolist())
    assert 0 <= centre < num_frames
    fields = sampling.flow_indices(centre)
    before, after = -min(fields.min(), 0), max(fields.max() - (num_frames - 2), 0)
    assert before + after == 11 - num_frames
    assert 0 <= after - before <= 1


@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize("chunks", [1, 2, 5, 25])
def test_testing_centres_are_evenly_spread_valid_centres(num_frames: int, chunks: int) -> None:
    centres = sampling.testing_centres(num_frames, chunks)
    first, last = sampling.valid_centres(num_frames)
    assert centres.shape == (chunks,)
    ideal = np.linspace(first, last, chunks) if chunks > 1 else np.array([(first + last) / 2])
    assert np.abs(centres - ideal).max() <= 0.5
    if chunks > 1:
        assert (centres[0], centres[-1]) == (first, last)
        assert (np.diff(centres) >= 0).all()


@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize(("chunks", "tau_range"), [(5, (5, 15)), (11, (1, 15)), (1, (3, 3))])
def test_training_centres_against_brute_force(
    num_frames: int, chunks: int, tau_range: tuple[int, int]
) -> None:
    valid = set(fitting_centres(num_frames) or [num_frames // 2])
    possible = {
        tuple(start + tau * k for k in range(chunks))
        for start in valid
        for tau in range(tau_range[0], tau_range[1] + 1)
        if start + tau * (chunks - 1) in valid
    }
    reduced = tuple(sampling.testing_centres(num_frames, chunks).tolist())
    for seed in range(20):
        centres = sampling.training_centres(num_frames, chunks, tau_range, rng(seed))
        drawn = tuple(centres.tolist())
        assert drawn in possible or (drawn == reduced and chunks > 1)
        smallest_span = tau_range[0] * (chunks - 1)
        if smallest_span > max(valid) - min(valid):
            assert drawn == reduced


def test_every_stride_and_every_start_occurs_equally_often() -> None:
    generator, draws = rng(), 6000
    centres = [sampling.training_centres(30, 2, (2, 4), generator) for _ in range(draws)]
    strides = np.bincount([b - a for a, b in centres])
    assert strides[:2].sum() == 0
    assert strides[2:] / draws == pytest.approx([1 / 3] * 3, abs=0.03)
    starts = np.bincount([a for a, b in centres if b - a == 2])[5:]
    assert starts / starts.sum() == pytest.approx([1 / 18] * 18, abs=0.03)


def test_a_draw_depends_on_its_generator_alone() -> None:
    drawn = [sampling.training_centres(300, 5, (5, 15), rng(3)).tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != sampling.training_centres(300, 5, (5, 15), rng(4)).tolist()


def test_senseless_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="0 frames"):
        sampling.valid_centres(0)
    with pytest.raises(UsageError, match="0 elements"):
        sampling.reflect(1, 0)
    with pytest.raises(UsageError, match="0 chunks"):
        sampling.testing_centres(30, 0)
    with pytest.raises(UsageError, match="0 chunks"):
        sampling.training_centres(30, 0, (1, 2), rng())
    for tau_range in [(0, 3), (4, 3)]:
        with pytest.raises(UsageError, match="tau"):
            sampling.training_centres(30, 5, tau_range, rng())
