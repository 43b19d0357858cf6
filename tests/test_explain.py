"""Why a video gets its class: does the explanation point at what is really there, and add up?

Most tests use a network whose weights are set by hand: redness is the only thing its appearance
sees, downward flow the only thing its motion sees, both wherever and whenever they are.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import spearmanr

import stresnet
from making_stores import PREPARATION, write_store
from making_videos import Video, moving_texture, read_video, write_video
from memory_video import InMemoryVideo
from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import preparation
from stresnet.data.store.format import Origin
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError, VideoError, WeightsError
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import PAPER, QUICK
from stresnet.explanation import Explanation, explain, save_explanation
from stresnet.explanation.class_activation_map import (
    between,
    cell_centres,
    evidence,
    margin_weights,
    over_pixels,
)
from stresnet.explanation.occlusion import Occluded, interval_edges
from stresnet.flow import FAST
from stresnet.model import STResNet
from stresnet.model.stream import Stream
from tiny_data import toy_video

APPEARANCE, MOTION = 0, 1
ORIGIN = Origin("<b>made</b>", "0" * 64)
FRAMES, HEIGHT, WIDTH = 60, 64, 256  # seen as 2 x 5 places


def telling_network(temporal_pool=None, stride_in="1x1") -> STResNet:
    """Class "there" grows with red (appearance) and downward flow (motion), "not" with neither.

    Every branch is silenced; what conv1's first channel finds goes along the shortcuts.
    """
    net = STResNet(2, "tiny", input_size=32, temporal_pool=temporal_pool, stride_in=stride_in)
    with torch.no_grad():
        for stream, seen in ((net.appearance, [0]), (net.motion, range(1, 20, 2))):
            for name, parameter in stream.named_parameters():
                if name.endswith("bn3.weight") or name in ("conv1.weight", "classifier.weight"):
                    parameter.zero_()
            for stage in stream.stages:
                for unit in stage:
                    if unit.project is not None:
                        unit.project.weight.zero_()
                        unit.project.weight[0, 0] = 1
            stream.conv1.weight[0, list(seen), 3, 3] = 1 / len(seen)
            stream.classifier.weight[0, 0] = 1
            stream.classifier.bias.copy_(torch.tensor([0.3, -0.1]))
    net.appearance.mean.fill_(128.0)
    net.class_names = ("there", "not")
    return net.eval()


def made_video(path: Path, *, red=None, falling=None) -> StoredVideo:
    """Grey noise without motion, but for a red and a falling place: (rows, columns, frames)."""
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 120, (FRAMES, HEIGHT, WIDTH, 1)).repeat(3, axis=-1)
    flow = np.full((FRAMES - 1, 2, HEIGHT, WIDTH), 128, np.uint8)
    if red is not None:
        rows, columns, when = red
        frames[when, rows, columns, 0] = 230
    if falling is not None:
        rows, columns, when = falling
        flow[when, 1, rows, columns] = 180
    video = Video(frames.astype(np.uint8), np.arange(FRAMES) / 25, warnings=())
    return write_store(
        path, video, flow, origin=Origin("<b>made</b>", "0" * 64), preparation=PREPARATION
    )


RED = (slice(44, 64), slice(160, 208), slice(36, 48))  # below, to the right, in the second half
FALLING = (slice(0, 16), slice(48, 96), slice(12, 24))  # above, to the left, in the first


def assert_at(place: tuple[slice, slice, slice], explanation: Explanation, stream: int) -> None:
    rows, columns, when = place
    peak = explanation.peak(stream)
    assert rows.start <= peak.y * HEIGHT < rows.stop
    assert columns.start <= peak.x * WIDTH < columns.stop
    assert when.start - 5 <= peak.frame < when.stop + 5  # a chunk's flow reaches 5 frames away
    near = (explanation.centres >= when.start - 5) & (explanation.centres < when.stop + 5)
    of_chunks = explanation.of_chunks[stream]
    assert of_chunks[near].sum() == pytest.approx(of_chunks.sum(), rel=1e-3)


@pytest.mark.parametrize("temporal_pool", [None, "pool5", "conv5"])
def test_each_peak_lies_where_and_when_the_only_evidence_is(tmp_path, temporal_pool):
    video = made_video(tmp_path / "made.zip", red=RED, falling=FALLING)
    found = explain(telling_network(temporal_pool), video, intervals=0)
    assert found.label == "there"
    assert_at(RED, found, APPEARANCE)
    assert_at(FALLING, found, MOTION)


def test_hiding_the_evidence_costs_the_stream_that_has_it(tmp_path):
    video = made_video(tmp_path / "made.zip", red=RED, falling=FALLING)
    found = explain(telling_network("pool5"), video, intervals=5)
    # Frames 12 to 23 are the second fifth, 36 to 47 the fourth: hiding them costs that stream.
    for stream, fifth in ((APPEARANCE, 3), (MOTION, 1)):
        losses = found.losses[stream]
        assert losses.argmax() == fifth
        assert losses[fifth] > 0.3 * found.maps[stream].sum()
    np.testing.assert_allclose(found.losses[APPEARANCE, :3], 0, atol=1e-4)
    np.testing.assert_allclose(found.losses[MOTION, 3:], 0, atol=1e-4)


def test_evidence_lies_in_the_stream_that_saw_it(tmp_path):
    net = telling_network()
    red, falling = (
        made_video(tmp_path / "r.zip", red=RED),
        made_video(tmp_path / "f.zip", falling=FALLING),
    )
    red, falling = (evidence(net, each, 0, QUICK)[1].sum((1, 2, 3)) for each in (red, falling))
    assert red[APPEARANCE] > 1
    assert falling[MOTION] > 0.5
    np.testing.assert_allclose([red[MOTION], falling[APPEARANCE]], 0, atol=1e-4)


def random_network(temporal_pool=None, kind="max", connection="appearance") -> STResNet:
    torch.manual_seed(3)
    net = STResNet(
        3, "tiny", input_size=32, temporal_pool=temporal_pool, temporal_pool_kind=kind,
        motion_residual=connection, motion_dropout=0.5,
    )  # fmt: skip
    for stream in (net.appearance, net.motion):
        torch.nn.init.normal_(stream.classifier.weight)
        torch.nn.init.normal_(stream.classifier.bias)
    net.class_names = ("a", "b", "c")
    return net


@pytest.mark.parametrize(
    ("temporal_pool", "kind", "connection"),
    [
        (None, "max", "appearance"),
        ("pool5", "max", "appearance"),
        ("conv5", "max", "bidirectional"),
        ("pool5", "average", None),
    ],
)
@pytest.mark.parametrize("protocol", [QUICK, PAPER], ids=lambda each: each.name)
def test_the_parts_add_up_to_the_score(temporal_pool, kind, connection, protocol):
    net = random_network(temporal_pool, kind, connection)
    net.motion.classifier.train()
    clip, flow = toy_video("rises", seed=1)
    video = InMemoryVideo(clip.frames, flow)
    scores = score_video(net, video, protocol=protocol)
    bias, maps = evidence(net, video, 1, protocol)
    of_streams = maps.sum((1, 2, 3)) + bias
    for stream, score in enumerate((scores.appearance, scores.motion)):
        margin = (score[1] - (score[0] + score[2]) / 2) / 2
        assert of_streams[stream] == pytest.approx(margin, rel=1e-4, abs=1e-4)
    assert net.motion.classifier.training  # the caller's network is as it was
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_random_weights_give_another_map(tmp_path):
    """Adebayo et al.'s sanity check (NeurIPS 2018): an explanation is one of the network."""
    video = made_video(tmp_path / "made.zip", red=RED, falling=FALLING)
    found = evidence(telling_network(), video, 0, QUICK)[1]
    torch.manual_seed(0)
    other = evidence(STResNet(2, "tiny", input_size=32), video, 0, QUICK)[1]
    for stream in (APPEARANCE, MOTION):
        assert abs(spearmanr(found[stream], other[stream], axis=None).statistic) < 0.4


def test_the_margin_is_the_class_above_the_mean_of_the_others():
    np.testing.assert_allclose(margin_weights(3, 1), [-0.5, 1, -0.5])
    np.testing.assert_allclose(margin_weights(1, 0), [1])


# --- places and times -----------------------------------------------------------------------------


@pytest.mark.parametrize("stride_in", ["1x1", "3x3"])
def test_a_cell_lies_where_its_receptive_field_is(stride_in):
    net = STResNet(2, "tiny", input_size=112, stride_in=stride_in).eval()
    rows, columns = cell_centres(net, 256, 340)  # tested at 128 x 170 px
    assert (len(rows), len(columns)) == (4, 6)
    np.testing.assert_allclose(
        columns + columns[::-1], 1
    )  # symmetric: the mirror image is seen too
    # With all weights alike and positive, what a cell sees is centred where its field is.
    seen = telling_network(stride_in=stride_in).appearance
    x = torch.zeros(1, 1, 3, 128, 170)
    x[..., 64:68, 64:68] = 255
    strongest = int(_conv5(seen, x).amax(-1).argmax())
    assert rows[strongest] * 128 == pytest.approx(66, abs=3)


def _conv5(stream: Stream, x: torch.Tensor) -> torch.Tensor:
    """(h,w) the first channel of conv5_x."""
    with torch.no_grad():
        y = stream.stem(x)
        for stage in stream.stages:
            for unit in stage:
                y = unit(torch.relu(y), 1)
    return y[0, 0]


def test_between_knots_is_linear_and_the_ends_are_held():
    weights = between(np.array([2, 4, 4, 8]), np.array([0, 3, 4, 6, 9]))
    np.testing.assert_allclose(weights.sum(1), 1)
    values = np.array([1.0, 2.0, 4.0, 7.0])
    np.testing.assert_allclose(weights @ values, [1, 2, 3, 5, 7])
    ramp = np.arange(3.0)[None, :] * np.ones((2, 1))
    spread = over_pixels(ramp, np.array([0.25, 0.75]), np.array([1, 3, 5]) / 6, 4, 6)
    np.testing.assert_allclose(spread, np.tile([0, 0.25, 0.75, 1.25, 1.75, 2], (4, 1)))


# --- hiding ---------------------------------------------------------------------------------------


def test_nothing_happens_in_a_hidden_interval():
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    flow = 10 + np.arange(11, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 4), np.uint8)
    video, every = InMemoryVideo(frames, flow), np.arange(12)
    seen = Occluded(video, 4, 7)
    assert seen.frames(every)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 3, 3, 3, 7, 8, 9, 10, 11]
    still = [10, 11, 12, 128, 128, 128, 128, 17, 18, 19, 20]
    assert seen.flow(every[:11])[:, 0, 0, 0].tolist() == still
    assert Occluded(video, 0, 3).frames(every)[:, 0, 0, 0].tolist()[:4] == [3, 3, 3, 3]
    assert video.frames(every)[5, 0, 0, 0] == 5
    assert interval_edges(12, 5).tolist() == [0, 2, 4, 7, 9, 12]
    assert interval_edges(3, 10).tolist() == [0, 1, 2, 3]
    assert interval_edges(1, 10).tolist() == [0]
    assert interval_edges(9, 0).tolist() == [0]


# --- the one call ---------------------------------------------------------------------------------


def test_a_path_a_store_and_frames_are_explained_alike(tmp_path):
    net = random_network()
    path = write_video(tmp_path / "clip.mp4", moving_texture(5, 64, 80))
    of_path = explain(net, path, label="b", intervals=2)
    stored = prepare_video(path, tmp_path / "clip.zip")
    of_store = explain(net, stored, label="b", intervals=2)
    assert (of_path.source, of_path.label) == (str(path), of_store.label)
    np.testing.assert_array_equal(of_path.losses, of_store.losses)
    np.testing.assert_array_equal(of_path.maps, of_store.maps)
    of_frames = explain(net, read_video(path).frames, label="b", intervals=2)
    np.testing.assert_array_equal(of_path.maps, of_frames.maps)
    assert abs(of_path.residual) < 1e-5 * np.abs(of_path.maps).sum()
    same = score_video(net, stored, protocol=QUICK)
    np.testing.assert_array_equal(of_path.scores.fused, same.fused)


def test_what_predict_says_is_explained_unless_another_protocol_is_asked_for():
    net, frames = random_network(), moving_texture(40, 64, 80)
    found = explain(net, frames, intervals=0)
    said = stresnet.predict(net, frames, precision="fp32")
    assert found.label == said.label
    assert softmax(found.scores.fused).max() == pytest.approx(said.score)
    assert len(found.centres) == 8
    paper = explain(net, frames, protocol="paper", intervals=0)
    assert len(paper.centres) == 25
    for each in (found, paper):
        assert abs(each.residual) < 1e-5 * np.abs(each.maps).sum()
    with pytest.raises(UsageError, match=r"'ten-crop' cannot be explained.*quick, paper"):
        explain(net, frames, protocol="ten-crop")


def test_an_explanation_is_whole_when_it_is_pickled_and_nothing_is_left_on_disk(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    path = write_video(tmp_path / "clip.mp4", moving_texture(3, 64, 80))
    pickled = pickle.dumps(explain(random_network(), path, intervals=0))
    path.unlink()
    assert not list((tmp_path / "scratch").iterdir())
    found = pickle.loads(pickled)
    save_explanation(found, tmp_path / "out")
    assert (tmp_path / "out" / "index.html").exists()
    np.testing.assert_allclose(found.video.times, [0, 0.04, 0.08])
    assert found.video.duration == pytest.approx(0.12)


def test_videos_are_prepared_as_the_model_s_were():
    """And what the model records of its flow is refused where it cannot be computed."""
    net, frames = random_network(), moving_texture(3, 64, 80)
    net.preparation = preparation(FAST, short_side=48)
    found = explain(net, list(frames), intervals=0)
    assert (found.video.height, found.video.width) == (48, 60)
    slow = random_network()
    slow.preparation = preparation(short_side=48)
    indices = np.arange(2)
    assert not np.array_equal(
        explain(slow, frames, intervals=0).video.flow(indices), found.video.flow(indices)
    )
    net.preparation = {**net.preparation, "flow_bound": 32.0}
    with pytest.raises(WeightsError, match=r"flow_bound is 32.0, expected 20"):
        explain(net, frames)


def test_what_is_saved(tmp_path):
    video = made_video(tmp_path / "made.zip", red=RED)
    found = explain(telling_network(), video, intervals=3)
    save_explanation(found, tmp_path / "out")
    names = {"overlay.mp4", "contact_sheet.jpg", "explanation.npz", "index.html"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    with np.load(tmp_path / "out" / "explanation.npz", allow_pickle=False) as said:
        assert said["label"] == found.label == said["class_names"][0]
        np.testing.assert_array_equal(said["times"][said["edges"][:-1]], [0, 0.8, 1.6])
        np.testing.assert_allclose(said["maps"].sum() + said["bias"].sum(), said["margin"])
        np.testing.assert_array_equal(said["losses"], found.losses)
        np.testing.assert_array_equal(said["motion"], found.scores.motion)
    shown = read_video(tmp_path / "out" / "overlay.mp4", short_side=HEIGHT + 24 + 56)
    assert shown.frames.shape == (FRAMES, HEIGHT + 24 + 56, 2 * WIDTH, 3)
    np.testing.assert_allclose(shown.times, video.times, atol=1e-4)
    # The place is warm when it tells, on the left only; grey elsewhere and at other times.
    warmth = np.ptp(shown.frames[:, 24 : 24 + HEIGHT].astype(int), axis=-1)
    telling = warmth[42]
    assert telling[RED[:2]].mean() > 80
    assert telling[:16, :96].mean() < 30
    assert telling[:, WIDTH : WIDTH + 128].mean() < 30
    assert warmth[5][RED[:2]].mean() < 30
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;made&lt;/b&gt;" in page
    assert page.count("<rect") == 2 * len(np.unique(found.centres)) + 2 * 3
    assert f"<title>appearance {found.losses[APPEARANCE, 2]:+.3f}</title>" in page
    assert "<script" not in page and "http" not in page


def test_a_single_frame_is_explained_too(tmp_path):
    found = explain(random_network(), moving_texture(1, 64, 80))
    save_explanation(found, tmp_path)
    assert found.losses.shape == (2, 0)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "What would be missed" not in page


def test_what_cannot_be_explained(tmp_path):
    net, frames = random_network(), moving_texture(12, 64, 80)
    with pytest.raises(UsageError, match=r"no class 'd'.*choose from: a, b, c"):
        explain(net, frames, label="d")
    with pytest.raises(UsageError, match="-1 intervals"):
        explain(net, frames, intervals=-1)
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    with pytest.raises(VideoError):
        explain(net, bad)
    net.class_names = ()
    with pytest.raises(UsageError, match="no class names"):
        explain(net, frames)
