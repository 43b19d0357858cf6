"""HOG, HOF and MBH around followed points, against a straightforward implementation."""

import numpy as np
import pytest

pytest.importorskip("cv2")

from making_stores import sharp_texture
from stresnet.flow import grey
from stresnet.idt.histograms import NO_MOTION, CellHistograms
from stresnet.idt.layout import COLUMNS, HISTOGRAMS, LENGTH, NUM_COLUMNS
from stresnet.idt.tracking import FLOOR, FREE, Tracks

HEIGHT, WIDTH = 44, 52


def frame_of(seed: int = 0) -> np.ndarray:
    return grey(sharp_texture(HEIGHT, WIDTH, seed=seed)[None])[0]


def smooth_flow(seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    phases = np.random.default_rng(seed).uniform(0, 6, 4)
    u = 3 * np.sin(x / 7 + phases[0]) * np.cos(y / 9 + phases[1])
    v = 2 * np.cos(x / 8 + phases[2]) + np.sin(y / 5 + phases[3])
    return np.stack([u, v]).astype(np.float32)


def gradient(field: np.ndarray) -> np.ndarray:
    """(H, W) -> (H, W, 2): right minus left, below minus above; mirrored at the border."""
    padded = np.pad(field.astype(np.float64), 1, mode="reflect")
    return np.stack(
        [padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]], axis=-1
    )


def votes(vector: np.ndarray, *, no_motion_bin: bool) -> np.ndarray:
    """One vector's votes for 8 directions, and for no motion."""
    bins = np.zeros(9 if no_motion_bin else 8)
    length = np.hypot(*vector)
    if no_motion_bin and length <= NO_MOTION:
        bins[8] = 1
        return bins
    place = np.degrees(np.arctan2(vector[1], vector[0])) % 360 / 45
    low = int(place)
    bins[low % 8] += length * (1 - (place - low))
    bins[(low + 1) % 8] += length * (place - low)
    return bins


def all_votes(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(H, W, 33)."""
    moves = np.moveaxis(flow, 0, -1).astype(np.float64)
    planes = [gradient(frame), moves, gradient(flow[0]), gradient(flow[1])]
    return np.array(
        [
            [
                np.concatenate(
                    [votes(plane[y, x], no_motion_bin=n == 1) for n, plane in enumerate(planes)]
                )
                for x in range(WIDTH)
            ]
            for y in range(HEIGHT)
        ]
    )


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame, flow = frame_of(), smooth_flow()
    return frame, flow, all_votes(frame, flow)


def test_columns_are_as_the_papers_count_them():
    sizes = {name: columns.stop - columns.start for name, columns in COLUMNS.items()}
    assert sizes == {"info": 10, "trajectory": 30, "hog": 96, "hof": 108, "mbhx": 96, "mbhy": 96}
    assert sum(sizes.values()) == NUM_COLUMNS == 436


def test_cell_histograms_equal_votes_counted_one_by_one(scene):
    frame, flow, by_pixel = scene
    found = CellHistograms(HEIGHT, WIDTH)(frame, flow)
    assert found.shape == (HEIGHT - 15, WIDTH - 15, 33)
    windows = np.lib.stride_tricks.sliding_window_view(by_pixel, (16, 16), axis=(0, 1))
    # OpenCV's arc tangent is good to 0.3 degrees, a 150th of a bin.
    np.testing.assert_allclose(found, windows.sum(axis=(-2, -1)), rtol=0.01, atol=2)
    # Directions may trade, but no vote is lost.
    for bins in HISTOGRAMS.values():
        expected = windows.sum(axis=(-2, -1))[..., bins].sum(axis=-1)
        np.testing.assert_allclose(found[..., bins].sum(axis=-1), expected, rtol=1e-4)


def test_memory_is_used_again_without_traces(scene):
    frame, flow, _ = scene
    histograms = CellHistograms(HEIGHT, WIDTH)
    first = histograms(frame, flow).copy()
    histograms(frame_of(1), smooth_flow(1))
    np.testing.assert_array_equal(histograms(frame, flow), first)


@pytest.mark.parametrize("where", [(20, 22), (1, 2), (50, 43)])
def test_a_point_is_described_by_the_four_cells_around_it(scene, where):
    frame, flow, by_pixel = scene
    tracks = Tracks(HEIGHT, WIDTH)
    tracks._ages[0] = 0
    tracks._points[0, 0] = where
    tracks._cells[0] = 0
    standing = np.zeros_like(flow)
    histograms = CellHistograms(HEIGHT, WIDTH)(frame, flow)
    for _ in range(LENGTH - 1):
        assert len(tracks.follow(standing, standing, histograms).points) == 0
    finished = tracks.follow(standing, standing, histograms)

    left = min(max(where[0] - 16, 0), WIDTH - 32)
    top = min(max(where[1] - 16, 0), HEIGHT - 32)
    expected = np.empty((2, 2, 33))
    for a in range(2):
        for b in range(2):
            cell = by_pixel[top + 16 * b :, left + 16 * a :][:16, :16]
            expected[a, b] = cell.sum(axis=(0, 1)) + FLOOR
    for bins in HISTOGRAMS.values():
        expected[..., bins] = np.sqrt(expected[..., bins] / expected[..., bins].sum())
    assert finished.cells.shape == (1, 3, 2, 2, 33)
    for time in range(3):
        np.testing.assert_allclose(finished.cells[0, time], expected, rtol=0.02, atol=0.02)
    assert tracks._ages[0] == FREE


def described(flow: np.ndarray) -> dict[str, np.ndarray]:
    """The shares of the bins of each histogram, in the middle of a flow field."""
    found = CellHistograms(HEIGHT, WIDTH)(frame_of(), flow.astype(np.float32))[10, 10]
    return {name: found[bins] / max(found[bins].sum(), 1e-9) for name, bins in HISTOGRAMS.items()}


@pytest.mark.parametrize("direction", range(8))
def test_uniform_flow_is_one_direction_and_has_no_boundaries(direction):
    angle = np.pi / 4 * direction
    flow = np.ones((2, HEIGHT, WIDTH)) * 3 * np.array([np.cos(angle), np.sin(angle)])[:, None, None]
    shares = described(flow)
    assert shares["hof"][direction] == pytest.approx(1, abs=0.02)
    assert shares["mbhx"].sum() == shares["mbhy"].sum() == 0


def test_slow_flow_is_no_motion():
    assert described(np.full((2, HEIGHT, WIDTH), 0.2))["hof"][8] == 1


def test_a_growing_flow_has_boundaries_in_its_own_direction():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    zoom = described(0.1 * np.stack([x - WIDTH / 2, y - HEIGHT / 2]))
    assert zoom["mbhx"][0] == pytest.approx(1, abs=0.01)  # u grows along x
    assert zoom["mbhy"][2] == pytest.approx(1, abs=0.01)  # v grows along y
    turn = described(0.1 * np.stack([HEIGHT / 2 - y, x - WIDTH / 2]))
    assert turn["mbhx"][6] == pytest.approx(1, abs=0.01)  # u falls along y
    assert turn["mbhy"][0] == pytest.approx(1, abs=0.01)  # v grows along x
