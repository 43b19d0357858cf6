"""Does an explanation of the shipped network tell of the clip, and of the network?"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.store.format import NO_MOTION
from stresnet.data.store.reader import StoredVideo
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import QUICK
from stresnet.explanation import explain
from stresnet.explanation.class_activation_map import evidence, margin_of
from stresnet.model import STResNet, load_model


class Covered:
    """A video with a square, 2/5 of its height, blanked in all frames: mean colour, no motion."""

    def __init__(self, video: StoredVideo, x: float, y: float) -> None:
        self._video = video
        self.num_frames, self.height, self.width = video.num_frames, video.height, video.width
        middle, half = (int(y * video.height), int(x * video.width)), video.height // 5
        self._square = tuple(slice(max(at - half, 0), at + half) for at in middle)

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        frames = self._video.frames(indices)
        frames[:, *self._square] = frames.mean((1, 2), keepdims=True)
        return frames

    def flow(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        flow = self._video.flow(indices)
        flow[..., *self._square] = NO_MOTION
        return flow


@pytest.mark.slow
def test_the_strongest_place_is_missed_most_and_weights_matter(tmp_path):
    with as_file(files("stresnet") / "assets") as assets:
        net = load_model("fight")
        video = prepare_video(
            assets / "clips" / "fight" / "fi070.mp4",
            tmp_path / "clip.zip",
            parameters=flow_parameters(net.preparation),
            short_side=short_side(net.preparation),
        )
    found = explain(net, video, intervals=0)
    assert found.label == "fight"
    assert abs(found.residual) < 1e-4
    places = found.maps.sum((0, 1))
    margins = []
    for place in (places.argmax(), places.argmin()):
        row, column = np.unravel_index(place, places.shape)
        covered = Covered(video, found.columns[column], found.rows[row])
        margins.append(margin_of(score_video(net, covered, protocol=QUICK), 0))
    assert margins[0] < margins[1] - 0.1
    torch.manual_seed(0)
    other = evidence(STResNet(**net.config), video, 0, QUICK)[1]
    for stream in range(2):
        assert abs(spearmanr(found.maps[stream], other[stream], axis=None).statistic) < 0.6
