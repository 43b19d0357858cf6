"""Which trajectories known motions leave: none of the camera's, those of objects."""

import numpy as np
import pytest

pytest.importorskip("cv2")

import cv2

from making_stores import sharp_texture
from stresnet.errors import UsageError
from stresnet.flow import grey
from stresnet.idt.layout import COLUMNS, LENGTH
from stresnet.idt.motion import Camera, stabilised
from stresnet.idt.tracking import FREE, Tracks, has_own_motion, moves
from stresnet.idt.trajectories import iter_trajectories, scale_sizes

HEIGHT, WIDTH = 96, 128
FRAMES = LENGTH + 1


def large_scene(seed: int = 0) -> np.ndarray:
    return grey(sharp_texture(3 * HEIGHT, 3 * WIDTH, seed=seed)[None])[0]


def panned(step: tuple[float, float], frames: int = FRAMES, zoom: float = 0.0) -> list[np.ndarray]:
    """A static scene, seen by a camera that moves."""
    scene = large_scene()
    views = []
    for i in range(frames):
        matrix = cv2.getRotationMatrix2D((1.5 * WIDTH, 1.5 * HEIGHT), 0, 1 + zoom * i)
        matrix[:, 2] += (step[0] * i - WIDTH, step[1] * i - HEIGHT)
        views.append(cv2.warpAffine(scene, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))
    return views


def with_spinning_disc(frames: list[np.ndarray], radius: int = 24) -> list[np.ndarray]:
    """A textured disc in the middle turns by 6 degrees a frame."""
    texture = large_scene(seed=5)[: 2 * radius, : 2 * radius]
    y, x = np.mgrid[-radius:radius, -radius:radius]
    inside = x**2 + y**2 < (radius - 1) ** 2
    top, left = HEIGHT // 2 - radius, WIDTH // 2 - radius
    turned = []
    for i, frame in enumerate(frames):
        matrix = cv2.getRotationMatrix2D((radius - 0.5, radius - 0.5), 6 * i, 1)
        disc = cv2.warpAffine(texture, matrix, inside.shape, borderMode=cv2.BORDER_REFLECT)
        picture = frame.copy()
        part = picture[top : top + 2 * radius, left : left + 2 * radius]
        part[inside] = disc[inside]
        turned.append(picture)
    return turned


def trajectories(frames: list[np.ndarray], **options) -> np.ndarray:
    return np.concatenate(list(iter_trajectories(frames, **options)))


def uncompensated(monkeypatch, frames: list[np.ndarray]) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr(Camera, "homography", lambda *arguments: np.eye(3))
        return trajectories(frames)


def in_disc(rows: np.ndarray) -> np.ndarray:
    """Flow is smooth, so that an object's motion reaches some pixels beyond it."""
    return np.hypot(rows[:, 1] - WIDTH / 2, rows[:, 2] - HEIGHT / 2) < 24 + 12


def test_a_panned_static_scene_loses_its_trajectories(monkeypatch):
    frames = panned((2, 1))
    before = uncompensated(monkeypatch, frames)
    assert len(before) > 100
    assert len(trajectories(frames)) < 0.05 * len(before)


def test_a_zoomed_static_scene_loses_its_trajectories(monkeypatch):
    frames = panned((1, 0), zoom=0.008)
    before = uncompensated(monkeypatch, frames)
    assert len(before) > 100
    assert len(trajectories(frames)) < 0.1 * len(before)


def test_a_turning_object_keeps_its_trajectories_under_a_moving_camera():
    still = trajectories(with_spinning_disc(panned((0, 0))))
    moving = trajectories(with_spinning_disc(panned((2, 0))))
    for rows in (still, moving):
        assert in_disc(rows).mean() > 0.9
    assert len(moving) > 0.5 * len(still) > 20


def test_a_trajectory_tells_its_way_in_pixels_of_the_whole_frame(monkeypatch):
    rows = uncompensated(monkeypatch, panned((2, 0)))
    middle = rows[(np.abs(rows[:, 1] - WIDTH / 2) < 20) & (np.abs(rows[:, 2] - HEIGHT / 2) < 20)]
    scales = [factor for factor, *_ in scale_sizes(HEIGHT, WIDTH)]
    np.testing.assert_allclose(np.unique(rows[:, 6]), scales, rtol=1e-6)
    assert (middle[:, 0] == LENGTH).all()
    np.testing.assert_allclose(middle[:, 5], 2 * LENGTH, atol=2)  # length
    np.testing.assert_allclose(middle[:, 3], 2 * np.std(np.arange(FRAMES)), atol=0.5)
    np.testing.assert_allclose(middle[:, 7], middle[:, 1] / WIDTH, atol=1e-5)
    shape = middle[:, COLUMNS["trajectory"]].reshape(-1, LENGTH, 2)
    np.testing.assert_allclose(np.linalg.norm(shape, axis=2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(shape[..., 0], 1 / LENGTH, atol=0.02)
    # RootSIFT: each frame's squares add up to 1, their mean over five frames' roots to no more.
    hof = middle[:, COLUMNS["hof"]].reshape(-1, 3, 36)
    assert ((hof**2).sum(axis=2) <= 1.001).all()


def test_stabilising_undoes_a_known_homography_and_fills_from_the_first_frame():
    first, second = panned((3, 0), frames=2)
    homography = np.array([[1, 0, 3], [0, 1, 0], [0, 0, 1]], float)
    still = stabilised(first, second, homography)
    inner = np.s_[8:-8, 8:-12]
    assert np.abs(still[inner].astype(int) - first[inner]).mean() < 1
    np.testing.assert_array_equal(still[:, -6:], first[:, -6:])


def test_points_start_in_squares_that_have_none_and_only_where_there_is_structure():
    tracks = Tracks(40, 60)
    frame = large_scene()[:40, :60].copy()
    frame[:, 30:] = 128
    tracks.sample(frame)
    points = tracks._points[tracks._ages == 0, 0]
    assert 20 < len(points) <= 8 * 7
    assert points[:, 0].max() < 35
    assert len({(x // 5, y // 5) for x, y in points}) == len(points)
    tracks.sample(frame)
    assert (tracks._ages == 0).sum() == len(points)


def test_points_that_leave_the_frame_are_lost_and_there_is_always_room():
    tracks = Tracks(40, 60)
    to_the_right = np.zeros((2, 40, 60), np.float32)
    to_the_right[0] = 3
    for _ in range(40):
        tracks.sample(large_scene()[:40, :60])
        ended = tracks.follow(to_the_right, to_the_right, np.ones((25, 45, 33), np.float32))
        assert (ended.points[:, -1, 0] < 60).all()
    assert (np.diff(ended.points[..., 0], axis=1) == 3).all() and len(ended.points)
    alive = tracks._ages != FREE
    assert (tracks._ages[alive] < LENGTH).all()


def test_static_erratic_and_jumping_points_are_no_trajectories():
    steps = np.arange(FRAMES, dtype=np.float32)
    straight = np.stack([2 * steps, 0 * steps], axis=1)
    slow, fast = straight / 10, straight * 10
    jump = np.where(steps[:, None] < 8, [0, 0], [30, 0]).astype(np.float32)
    ways = np.stack([straight, slow, fast, jump])
    assert moves(ways).tolist() == [True, False, False, False]


def test_what_never_moves_a_pixel_of_its_own_is_the_cameras():
    slow = np.full((LENGTH, 2), 0.7, np.float32)
    once = slow.copy()
    once[4] = 0.8
    assert has_own_motion(np.stack([slow, once])).tolist() == [False, True]


@pytest.mark.parametrize("frames", [0, 1, 2, LENGTH])
def test_short_videos_have_no_trajectories(frames):
    blocks = list(iter_trajectories(panned((2, 0), frames)))
    assert sum(map(len, blocks)) == 0


def test_a_static_video_has_no_trajectories():
    assert len(trajectories([panned((0, 0), 1)[0]] * 20)) == 0
    assert len(trajectories([np.full((HEIGHT, WIDTH), 90, np.uint8)] * 20)) == 0


def test_the_same_frames_give_the_same_trajectories_and_a_prefix_gives_a_prefix():
    frames = with_spinning_disc(panned((1, 0), FRAMES + 4))
    blocks = list(iter_trajectories(frames))
    again = list(iter_trajectories(frames[:-2]))
    for one, other in zip(blocks, again, strict=False):
        np.testing.assert_array_equal(one, other)


def test_scales_shrink_by_the_root_of_two_down_to_the_patch():
    sizes = scale_sizes(240, 320)
    assert [size[1:] for size in sizes[:3]] == [(240, 320), (170, 226), (120, 160)]
    assert len(sizes) == 6 and min(sizes[-1][1:]) >= 32
    assert len(scale_sizes(2000, 2000)) == 8
    with pytest.raises(UsageError, match="at least 32"):
        scale_sizes(240, 31)
