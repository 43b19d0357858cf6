"""Several networks on one data set: what is scored, what is kept, and what the report says."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_stores import write_store
from stresnet.cli import app
from stresnet.data.prepare import ensure
from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.prepare.many import PrepareReport
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.format import Origin
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, EnvironmentProblem, UsageError
from stresnet.evaluation import scoring
from stresnet.evaluation.comparison import Comparison, EvaluationResult
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.models import find_models, network_kind
from stresnet.evaluation.protocols import CENTRE_CROP, PAPER
from stresnet.evaluation.report import console_table, render, signed, table_cells, write_report
from stresnet.evaluation.report.summary import summarise
from stresnet.evaluation.score_files import read_scores
from stresnet.evaluation.scoring import score_videos
from stresnet.model import STResNet, load_model
from stresnet.prediction.recogniser import Recogniser
from stresnet.progress import Progress
from tiny_data import CLASSES, PREPARATION, toy_store, toy_video

NETWORKS = {
    "two_stream": {"motion_residual": None, "temporal_convolutions": False},
    "st_resnet_star": {"temporal_pool": "pool5"},
}


def save_network(folder: Path, seed: int = 0, **architecture: object) -> None:
    torch.manual_seed(seed)
    net = STResNet(2, "tiny", input_size=32, **architecture)  # type: ignore[arg-type]
    net.save_pretrained(folder, class_names=CLASSES, preparation={}, card="a toy")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of eight videos, a list of them in two folds of two sources each, and a run."""
    root = tmp_path_factory.mktemp("world")
    toy_store(root / "store", videos=4)
    with (root / "toy.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "source", "fold"))
        for label in CLASSES:
            for n in range(4):
                writer.writerow((f"{label}/{n}", label, f"source {n}", 1 + n // 2))
    for name, architecture in NETWORKS.items():
        save_network(root / "run" / name, **architecture)
    return root


@pytest.fixture(autouse=True)
def nothing_to_prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores are made; what is not there has failed."""

    def prepare(videos: list[tuple[Path, str]], store: Path, **options: object) -> PrepareReport:
        missing = tuple(
            (name, "audio only") for _, name in videos if not store_path(store, name).exists()
        )
        return PrepareReport((), (), missing)

    monkeypatch.setattr(ensure, "prepare", prepare)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stems of the videos that are really scored, in order."""
    seen: list[str] = []
    score = scoring.score_video

    def spy(net: STResNet, video: StoredVideo, **options: object) -> object:
        seen.append(video.path.stem)
        return score(net, video, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "score_video", spy)
    return seen


def compared(world: Path, out: Path, **options: object) -> Comparison:
    settings: dict[str, object] = {
        "fold": 1,
        "store": world / "store",
        "protocols": (CENTRE_CROP,),
    }
    return evaluate([world / "run"], world / "toy.csv", out=out, **{**settings, **options})  # type: ignore[arg-type]


def test_a_run_s_networks_are_the_rows_of_one_table(world: Path, tmp_path: Path) -> None:
    comparison = compared(world, tmp_path, protocols=(PAPER, CENTRE_CROP))
    said = write_report(comparison, tmp_path)
    assert [(row["model"], row["protocol"], row["row"]) for row in said["table"]] == [
        (model, protocol, row)
        for model in NETWORKS
        for protocol in ("paper", "centre-crop")
        for row in ("appearance", "motion", "fused")
    ]
    assert said == json.loads((tmp_path / "report.json").read_text())
    assert said["main"] == {
        "model": "st_resnet_star",
        "network": "ST-ResNet*",
        "protocol": "paper",
    }
    assert (said["videos"], said["sources"], said["folds"]) == (4, 2, [1])
    assert set(said["rows"]) == {"appearance", "motion", "fused"}
    assert all(row["top5"] is None and row["paper"] is None for row in said["table"])
    header, *lines = table_cells(said)
    assert header == [
        *("network", "top-1 %", "over two_stream", "mean of classes %", "s per video")
    ]
    assert lines[5][0] == "two-stream, late fusion, centre-crop"
    assert [bool(line[2]) for line in lines] == [False] * 6 + [True] * 6 * (len(NETWORKS) - 1)
    for network in (said["table"][:6], said["table"][-6:]):
        for line, first in zip(network, said["table"][:6], strict=True):
            gain = line["gain"] or {"value": 0}
            assert gain["value"] == pytest.approx(line["top1"]["value"] - first["top1"]["value"])
    assert signed({"value": -0.0001, "low": -0.0, "high": 0.0}) == "+0.0 (0.0 to 0.0)"
    assert signed({"value": -0.021, "low": -0.052, "high": 0.0}) == "-2.1 (-5.2 to 0.0)"
    assert len(console_table(said).columns) == 4
    copies = said | {"table": [*said["table"], said["table"][0] | {"model": "another"}]}
    assert [line[1] for line in table_cells(copies)[::12]] == ["model", "st_resnet_star"]
    page = (tmp_path / "index.html").read_text()
    assert "<td>two-stream, late fusion, centre-crop</td>" in page
    assert "each draw compares the two on the same videos" in page

    kept = read_scores(tmp_path / "scores" / "st_resnet_star.paper.fold1.npz")
    np.testing.assert_array_equal(kept.scores, comparison.main.scores())
    assert kept.truth is not None
    assert kept.truth.tolist() == comparison.main.truth.tolist()


def test_evaluation_and_prediction_agree_bit_for_bit(world: Path) -> None:
    found = evaluate(world / "run" / "two_stream", world / "toy.csv", store=world / "store")
    (result,) = found.main.results
    assert found.accuracy() == result.accuracy("fused")
    net = load_model(world / "run" / "two_stream")
    net.to(memory_format=torch.channels_last)
    for place, name in enumerate(result.names):
        told = Recogniser(net, protocol="paper").ranking(
            StoredVideo(store_path(world / "store", name)), name
        )
        probabilities = torch.from_numpy(result.scores["fused"][place]).double().softmax(0)
        expected = dict(zip(CLASSES, probabilities.tolist(), strict=True))
        assert {each.label: each.score for each in told.predictions} == pytest.approx(
            expected, rel=1e-12
        )


def test_finished_videos_are_not_scored_again(
    world: Path, tmp_path: Path, scored: list[str]
) -> None:
    first = compared(world, tmp_path)
    assert len(scored) == 8
    again = compared(world, tmp_path)
    assert len(scored) == 8
    np.testing.assert_array_equal(again.main.scores("motion"), first.main.scores("motion"))
    assert again.main.seconds == first.main.seconds
    compared(world, tmp_path, precision="bf16")
    assert len(scored) == 16


def test_a_stopped_evaluation_goes_on(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, seen = scoring.score_video, []

    def until_the_third(net: STResNet, video: StoredVideo, **options: object) -> object:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(video)
        return score(net, video, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "score_video", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        compared(world, tmp_path)
    assert (
        len(read_scores(tmp_path / "scores" / "two_stream.centre-crop.fold1.part-00000.npz").names)
        == 3
    )
    seen.clear()
    monkeypatch.setattr(scoring, "score_video", score)
    went_on = compared(world, tmp_path)
    undisturbed = compared(world, tmp_path / "new")
    for row in ("appearance", "motion", "fused"):
        np.testing.assert_array_equal(went_on.main.scores(row), undisturbed.main.scores(row))
    assert went_on.main.names == undisturbed.main.names


def test_scores_survive_a_kill_within_half_a_minute(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "SAVE_SECONDS", -1.0)
    written: list[int] = []
    save = scoring.save_arrays

    def spy(path: Path, **arrays: np.ndarray) -> None:
        written.append(len(arrays["names"]))
        save(path, **arrays)

    monkeypatch.setattr(scoring, "save_arrays", spy)
    net = load_model(world / "run" / "two_stream")
    score_videos(net, videos_of(world), protocol=CENTRE_CROP, cache=tmp_path / "a.npz")
    assert written == [1, 1, 2]  # two parts, and the whole
    assert [path.name for path in tmp_path.glob("*.npz")] == ["a.npz"]


def videos_of(world: Path) -> PreparedVideos:
    names = [f"{label}/0" for label in CLASSES]
    items = tuple(VideoItem(Path(name), name.split("/")[0], name) for name in names)
    return PreparedVideos(items, world / "store", {})


def test_another_network_video_or_label_counts(
    world: Path, tmp_path: Path, scored: list[str]
) -> None:
    net = load_model(world / "run" / "two_stream")
    store, kept = tmp_path / "store", tmp_path / "kept.npz"
    toy_store(store, videos=1)
    videos = replace(videos_of(world), store=store)

    def score() -> EvaluationResult:
        return score_videos(net, videos, protocol=CENTRE_CROP, cache=kept)

    score()
    clip, flow = toy_video("rises", seed=7)
    write_store(
        store / "rises" / "0.zip", clip, flow, origin=Origin("0", "1" * 64), preparation=PREPARATION
    )
    score()
    assert scored == ["0", "0", "0"]  # the new one alone

    videos = replace(videos, items=tuple(replace(item, label="falls") for item in videos.items))
    assert score().truth.tolist() == [0, 0]
    assert len(scored) == 3  # its scores are the same; its truth is not

    net.motion.classifier.bias.data += 1
    score()
    assert len(scored) == 5
    kept.write_bytes(kept.read_bytes()[:100])
    score()
    assert len(scored) == 7


def test_folds_are_tested_by_their_own_networks(world: Path, tmp_path: Path) -> None:
    for fold in (1, 2):
        save_network(tmp_path / f"fold{fold}" / "star", seed=fold, temporal_pool="pool5")
    comparison = evaluate(
        [str(tmp_path / "fold{fold}" / "star")],
        world / "toy.csv",
        out=tmp_path / "out",
        fold=[1, 2],
        store=world / "store",
        protocols=(CENTRE_CROP,),
        calibrated=True,
    )
    said = write_report(comparison, tmp_path / "out")
    fused = said["table"][2]
    assert fused["top1"]["value"] == pytest.approx(np.mean(fused["of_folds"]))
    assert len(set(comparison.main.names)) == said["videos"] == 8
    fitted = said["calibration"]["fitted"]
    assert len(fitted["temperatures"]) == 2
    for result, used in zip(comparison.main.results, fitted["training_videos"], strict=True):
        assert len(used) == 4
        assert not set(result.names) & set(used)
    assert "mean of folds 1, 2" in (tmp_path / "out" / "index.html").read_text()
    assert (tmp_path / "out" / "scores" / "star.training.centre-crop.fold2.npz").exists()


def test_models_are_found_and_told_apart(world: Path, tmp_path: Path) -> None:
    run = str(world / "run")
    assert find_models([run], [None]).labels == ("two_stream", "st_resnet_star")
    save_network(tmp_path / "run" / "two_stream", **NETWORKS["two_stream"])
    pair = [f"{world}/run/two_stream", f"{tmp_path}/run/two_stream"]
    labels = find_models(pair, [None]).labels
    assert labels == (f"{world.name}-run-two_stream", f"{tmp_path.name}-run-two_stream")
    with pytest.raises(UsageError, match="given twice"):
        find_models([run, run], [None])
    with pytest.raises(UsageError, match="no model to evaluate"):
        find_models([], [None])
    with pytest.raises(UsageError, match=r"put \{fold\} into the path"):
        find_models([run], [1, 2])
    with pytest.raises(UsageError, match="--folds"):
        find_models(["fold{fold}"], [None])
    save_network(tmp_path / "fold1" / "two_stream", **NETWORKS["two_stream"])
    save_network(tmp_path / "fold2" / "st_resnet")
    with pytest.raises(UsageError, match="different sets of networks"):
        find_models([f"{tmp_path}/fold{{fold}}"], [1, 2])


def test_networks_are_called_as_in_the_paper() -> None:
    def kind(**architecture: object) -> str:
        return network_kind(STResNet(2, "tiny", input_size=32, **architecture))  # type: ignore[arg-type]

    assert kind(**NETWORKS["two_stream"]) == "two-stream"
    assert kind() == "ST-ResNet"
    assert kind(temporal_pool="conv5") == "ST-ResNet*"
    assert kind(motion_residual="direct") == "a variant"


def test_a_network_that_was_trained_on_tested_videos_is_told(world: Path, tmp_path: Path) -> None:
    save_network(tmp_path / "run" / "two_stream", **NETWORKS["two_stream"])
    (tmp_path / "run" / "split.csv").write_text(
        "split,name,label,source\ntrain,falls/0,falls,\ntest,falls/1,falls,\n"
        "train,falls/caf\udce9,falls,\n",  # a name of Latin-1, as training writes it
        encoding="utf-8",
        errors="surrogateescape",
    )
    comparison = evaluate(
        tmp_path / "run", world / "toy.csv", fold=1, store=world / "store", protocols="centre-crop"
    )
    (warning,) = comparison.warnings
    assert "trained on 1 of the 4 test videos" in warning
    assert "falls/0" in render(summarise(comparison), comparison.store)


def test_the_command_line_reports_and_lists_failures(world: Path, tmp_path: Path) -> None:
    listed = tmp_path / "toy.csv"
    listed.write_text((world / "toy.csv").read_text() + "falls/broken,falls,x,1\n")
    common = [str(listed), "--store", str(world / "store"), "--out", str(tmp_path / "out")]
    models = [str(world / "run" / name) for name in NETWORKS]
    options = ["--fold", "1", "--protocols", "centre-crop", "--calibrate"]
    done = CliRunner().invoke(app, ["evaluate", *models, *common, *options])
    assert done.exit_code == 1, done.stderr
    assert "failed: falls/broken: audio only" in done.stderr
    assert "late fusion" in " ".join(done.stdout.split())
    said = json.loads((tmp_path / "out" / "report.json").read_text())
    assert said["failures"] == {"falls/broken": "audio only"}
    assert said["calibration"]["after"]["bins"]

    for wrong in (
        ["--folds", "1,2"],
        ["--folds", "one"],
        ["--folds", "1,,2"],
        ["--fold", "1", "--protocols", "quick,,paper"],
        ["--fold", "1", "--folds", "1"],
        ["--protocols", "best"],
        ["--device", "abacus"],
        ["--fold", "1", "--background", "falls"],
        ["--fold", "1", "--overlap", "later"],
    ):
        refused = CliRunner().invoke(app, ["evaluate", *models, *common, *wrong])
        assert refused.exit_code == 2, wrong


def test_nothing_to_score_is_an_error(world: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the 4 videos.*falls/0: audio only"):
        compared(world, tmp_path, store=tmp_path / "empty")


def test_videos_prepared_otherwise_are_refused_before_anything_is_scored(
    world: Path, tmp_path: Path, scored: list[str]
) -> None:
    net = load_model(world / "run" / "two_stream")
    trained = {**PREPARATION, "tv_l1_warps": 2}
    net.save_pretrained(tmp_path / "other", class_names=CLASSES, preparation=trained, card="")
    with pytest.raises(DatasetError, match=r"other was trained on: tv_l1_warps is 5, expected 2"):
        evaluate([world / "run", tmp_path / "other"], world / "toy.csv", store=world / "store")
    assert not scored


def test_a_wrong_precision_is_said_before_anything_is_prepared(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensure, "prepare", lambda *args, **options: pytest.fail("too late"))
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        compared(world, tmp_path, precision="fp16", device="cpu")


def test_a_damaged_store_is_named_and_the_others_are_scored(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "store", tmp_path / "store")
    broken = store_path(tmp_path / "store", "falls/0")
    content = bytearray(broken.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 2000] = bytes(2000)
    broken.write_bytes(content)
    found = compared(world, tmp_path, store=tmp_path / "store")
    assert set(found.failures) == {"falls/0"}
    assert "is damaged" in found.failures["falls/0"]
    assert found.main.names == ("falls/1", "rises/0", "rises/1")


def test_a_network_in_memory_and_where_it_was_computed(world: Path, tmp_path: Path) -> None:
    net = load_model(world / "run" / "two_stream")
    seen: list[Progress] = []
    found = evaluate(
        net, world / "toy.csv", fold=2, store=world / "store",
        protocols=["centre-crop", CENTRE_CROP], precision="fp32", on_progress=seen.append,
    )  # fmt: skip
    assert (found.main.model, found.main.network, len(found.entries)) == (
        "network", "two-stream", 1,
    )  # fmt: skip
    assert [progress.done for progress in seen] == [1, 2, 3, 4]
    assert {progress.total for progress in seen} == {4}
    method = write_report(found, tmp_path)["method"]
    assert (method["device"], method["precision"]) == ("cpu", "fp32")
    assert (
        f"on cpu in fp32, from the prepared videos in {world / 'store'}"
        in (tmp_path / "index.html").read_text()
    )
    with pytest.raises(UsageError, match="2 folds"):
        evaluate(net, world / "toy.csv", fold=[1, 2], store=world / "store")
    with pytest.raises(UsageError, match=r"no protocol.*choose from paper"):
        evaluate(net, world / "toy.csv", fold=2, store=world / "store", protocols=[])


def test_a_device_without_memory_is_named(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("stresnet.inference.network.InferenceNetwork.__call__", full)
    net = load_model(world / "run" / "two_stream")
    with pytest.raises(EnvironmentProblem, match=r"out of memory.*25 chunks.*48x48"):
        evaluate(net, world / "toy.csv", fold=1, store=world / "store")
