"""Real files, the whole way: folder of clips -> training -> evaluation -> prediction."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from making_videos import moving_texture, read_video, write_video
from stresnet.cli import app
from stresnet.data.prepare.ensure import PreparedVideos
from stresnet.data.splits.open import open_dataset
from stresnet.data.splits.split import VideoItem
from stresnet.data.store.location import store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import DatasetError, UsageError
from stresnet.evaluation.evaluate import evaluate
from stresnet.evaluation.fully_convolutional import score_video
from stresnet.evaluation.protocols import QUICK as QUICK_LOOK
from stresnet.evaluation.report import write_report
from stresnet.evaluation.scoring import score_videos
from stresnet.model import STResNet, load_model
from stresnet.prediction.recognise import predict
from stresnet.training.checkpoint import checkpoint_path, weights_of
from stresnet.training.estimate import estimate_training
from stresnet.training.initialisation import initialise, network
from stresnet.training.plan import plan
from stresnet.training.recipe import PHASES, Recipe
from stresnet.training.recipes import QUICK, recipe_as_toml
from stresnet.training.run import resume, train
from stresnet.training.run_folder import require_same_run
from stresnet.training.runtime import Execution

IN_PROCESS = Execution("cpu", "fp32", workers=0)


def toy_recipe() -> Recipe:
    """Every phase of `quick`, one iteration at each rate, on crops of 32 px."""
    phases = tuple(
        replace(phase, batch=2, norm_group=2, unit="iterations", schedule=((1e-2, 1), (1e-3, 1)))
        for phase in QUICK.phases
    )
    return replace(QUICK, depth="tiny", input_size=32, phases=phases)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class: a texture that moves left or right, six clips each."""
    root = tmp_path_factory.mktemp("clips")
    for label, step in (("left", -2), ("right", 2)):
        (root / label).mkdir()
        for number in range(6):
            frames = moving_texture(13, 48, 64, step=(step, 0), seed=number)
            write_video(root / label / f"{number}.mp4", frames)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of all four phases."""
    out = tmp_path_factory.mktemp("runs") / "toy"
    before = torch.get_rng_state()
    model = train(data, out, recipe=toy_recipe(), store=out.parent / "store", execution=IN_PROCESS)
    assert torch.equal(before, torch.get_rng_state())
    assert model == out / "st_resnet_star"
    return out


def test_one_command_trains_every_phase(run: Path) -> None:
    assert all((run / f"{phase}.checkpoint.safetensors").exists() for phase in PHASES)
    for name in ("two_stream", "st_resnet", "st_resnet_star"):
        net = load_model(run / name)
        assert net.class_names == ("left", "right")
    assert net.config["temporal_pool"] == "pool5"
    with (run / "log.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == [
            phase for phase in PHASES for _ in range(2)
        ]
    said = json.loads((run / "run.json").read_text())
    assert said["seed"] == 0
    assert said["processes"] == 1
    assert {"python", "torch", "stresnet"} <= set(said["versions"])


def test_a_blended_phase_ends_between_its_first_and_its_last_weights(run: Path) -> None:
    recipe = toy_recipe()
    phase = recipe.phase("st_resnet")
    start = network(recipe, phase, 2)
    initialise(start, recipe, phase, run, None, ("left", "right"))
    _, last = weights_of(checkpoint_path(run, "st_resnet"))
    made = load_model(run / "st_resnet", device="cpu").state_dict()
    assert 0 < phase.blend < 1
    for name, first in start.state_dict().items():
        torch.testing.assert_close(made[name], first.lerp(last[name], phase.blend))
    assert not torch.equal(made["connections.0.scale"], last["connections.0.scale"])


@pytest.mark.parametrize("phases", [PHASES, ("motion",)], ids=["all", "motion"])
def test_the_same_call_again_changes_nothing(
    data: Path, run: Path, phases: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a part of it: the two-stream network keeps its appearance stream."""
    caplog.set_level("INFO")
    weights = sorted(run.glob("*/model.safetensors"))
    before = [path.read_bytes() for path in weights]
    assert len(before) == 3
    train(
        data,
        run,
        recipe=toy_recipe(),
        store=run.parent / "store",
        execution=IN_PROCESS,
        phases=phases,
    )
    assert [path.read_bytes() for path in weights] == before
    assert caplog.text.count("done before") == len(phases)


def test_a_run_s_folder_is_all_that_resume_needs(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the phases, the order and the working directory: the same two-stream network."""
    out = tmp_path / "run"
    common = {"recipe": toy_recipe(), "execution": IN_PROCESS}
    store = run.parent / "store"
    monkeypatch.chdir(data.parent)
    train(data.name, out, store=store, phases=["appearance"], **common)  # type: ignore[arg-type]
    train(data.name, out, store=store, phases=["motion"], **common)  # type: ignore[arg-type]
    (out / "motion.checkpoint.safetensors").unlink()  # as if it had been killed
    monkeypatch.chdir(tmp_path)
    resumed = CliRunner().invoke(app, ["train", "--resume", "run", "--workers", "1", "-v"])
    assert resumed.exit_code == 0, resumed.stderr
    for name in ("model.safetensors", "config.json"):
        expected = (run / "two_stream" / name).read_bytes()
        assert (out / "two_stream" / name).read_bytes() == expected
    said = json.loads((out / "run.json").read_text())
    assert said["arguments"]["execution"]["workers"] == 1
    assert (said["device"], said["precision"]) == ("cpu", "fp32")
    assert said["arguments"]["phases"] == ["motion"]

    # What measures it needs no option of the first call to be remembered.
    assert f"stresnet evaluate run {data} --store {store}" in resumed.stderr

    refused = CliRunner().invoke(app, ["train", "--resume", "run", "--seed", "1"])
    assert refused.exit_code == 2
    assert "seed was given too" in refused.stderr
    with pytest.raises(UsageError, match="holds no run"):
        resume(tmp_path / "nowhere")
    said["arguments"]["data"] = str(tmp_path / "moved")
    (out / "run.json").write_text(json.dumps(said))
    with pytest.raises(UsageError, match=r"data are not at .*moved any more.*--store"):
        resume(out)


def test_a_dry_run_says_what_it_takes_and_writes_nothing(
    data: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    planned = plan(data, recipe=toy_recipe(), store=run.parent / "store")
    estimates = estimate_training(planned, IN_PROCESS)
    assert not list(tmp_path.iterdir())
    assert [estimate.phase.name for estimate in estimates] == list(PHASES)
    assert "10 of 10 training videos are prepared" in caplog.text
    assert all(f"{phase}: 2 iterations of 2 videos, each" in caplog.text for phase in PHASES)
    assert "h on cpu in fp32" in caplog.messages[-1]


def test_where_the_network_strides_is_the_recipe_s() -> None:
    recipe = replace(toy_recipe(), stride_in="3x3")
    for phase in recipe.phases:
        assert network(recipe, phase, 2).config["stride_in"] == "3x3"


def test_hints_can_be_pasted_and_phases_may_be_spaced(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def trained(data: Path, out: Path, **options: Any) -> Path:
        asked.append(options["phases"])
        return out / "st_resnet"

    monkeypatch.setattr("stresnet.training.run.train", trained)
    words = ["train", str(data), "--out", str(tmp_path / "my run"), "--overlap", "later"]
    told = CliRunner().invoke(app, [*words, "--phases", "motion, appearance,"])
    assert asked == [["motion", "appearance"]]
    assert f"evaluate '{tmp_path / 'my run'}' {data} --overlap later" in told.stderr


@pytest.mark.parametrize("change", ["new", "gone"])
def test_a_run_says_which_videos_differ(data: Path, run: Path, change: str) -> None:
    job = plan(data, recipe=toy_recipe(), store=run.parent / "store")
    first, *others = job.split.train
    train = [first, replace(first, name="extra"), *others] if change == "new" else others
    split = replace(job.split, train=tuple(train))
    name = "extra" if change == "new" else first.name
    with pytest.raises(UsageError, match=f"{change} are 1: {name}"):
        require_same_run(run, "another", job.recipe, 0, split)


def test_a_dry_run_refuses_weights_of_another_network(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the training itself would be refused for, before anything is timed."""
    monkeypatch.chdir(tmp_path)
    wrong = ["train", data, "--recipe", "quick-large", "--weights", "fight", "--dry-run"]
    refused = CliRunner().invoke(app, [str(each) for each in wrong])
    assert refused.exit_code == 2
    assert (
        "models/fight: holds ResNets of depth small, and the recipe asks for 50" in refused.stderr
    )


def test_videos_that_cannot_be_used_are_listed_and_left_out_on_demand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [VideoItem(tmp_path / f"{k}{n}", k, f"{k}/{n}") for k in "ab" for n in range(2)]
    caplog.set_level("INFO")

    def usable(failures: dict[str, str], *, skip_broken: bool) -> list[VideoItem]:
        return PreparedVideos(tuple(items), tmp_path, failures).kept(skip_broken=skip_broken)

    broken = {"a/0": "holds no video stream"}
    with pytest.raises(DatasetError, match=r"1 of 4 .*:\n  - a/0: holds.*--skip-broken"):
        usable(broken, skip_broken=False)
    kept = usable(broken, skip_broken=True)
    assert [item.name for item in kept] == ["a/1", "b/0", "b/1"]
    assert "a/0: holds no video" in caplog.text
    both = {f"b/{n}": "damaged" for n in range(2)}
    with pytest.raises(DatasetError, match="no usable training video is left in b"):
        usable(both, skip_broken=True)
    caplog.clear()  # of videos kept back, a class may have none
    PreparedVideos(tuple(items), tmp_path, both).require_usable(skip_broken=True)
    assert "left out 2 of 4 videos" in caplog.text
    many = {str(n): "damaged" for n in range(30)}
    with pytest.raises(DatasetError, match=r"and 20 more"):
        usable(many, skip_broken=False)


def test_a_run_s_folder_keeps_to_its_options(data: Path, run: Path) -> None:
    with pytest.raises(UsageError, match="holds a run with the seed 0, not 1"):
        train(data, run, recipe=toy_recipe(), seed=1, store=run.parent / "store")


def test_a_phase_needs_the_one_before(data: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"starts from .*two_stream"):
        train(
            data,
            tmp_path / "run",
            recipe=toy_recipe(),
            store=run.parent / "store",
            phases=["st_resnet"],
            execution=IN_PROCESS,
        )


def test_training_goes_on_from_a_trained_model_with_the_same_or_other_classes(
    data: Path, run: Path, tmp_path: Path
) -> None:
    """`--weights FOLDER`: ST-ResNet from a two-stream network; a stream from one for other data."""

    def start(classes: tuple[str, ...]) -> STResNet:
        net = network(toy_recipe(), toy_recipe().phase("st_resnet"), len(classes))
        torch.nn.init.zeros_(net.motion.classifier.weight)
        recipe = toy_recipe()
        initialise(net, recipe, recipe.phase("st_resnet"), tmp_path, run / "two_stream", classes)
        return net

    given = load_model(run / "two_stream")
    same, other = start(("left", "right")), start(("left", "right", "up"))
    for net in (same, other):
        assert torch.equal(net.motion.conv1.weight, given.motion.conv1.weight)
    assert torch.equal(same.motion.classifier.weight, given.motion.classifier.weight)
    assert other.motion.classifier.weight.shape[0] == 3
    assert not other.motion.classifier.weight.any()


def test_training_and_test_videos_are_apart(run: Path) -> None:
    with (run / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    sides = {
        side: {row["name"] for row in rows if row["split"] == side} for side in ("train", "test")
    }
    assert len(sides["train"]) + len(sides["test"]) == 12
    assert not sides["train"] & sides["test"]
    assert sides["test"]


def test_prediction_and_evaluation_agree_bit_for_bit(data: Path, run: Path) -> None:
    """Same preparation, same protocol: from the file, from an array, from the store."""
    net = load_model(run / "st_resnet_star")
    (report,) = evaluate(net, data, store=run.parent / "store").main.results
    item = open_dataset(data).test[0]
    stored = score_video(net, StoredVideo(store_path(run.parent / "store", item.name)))
    place = report.names.index(item.name)
    np.testing.assert_array_equal(report.scores["fused"][place], stored.fused)

    from_file = predict(net, item.path, protocol="paper")
    side = net.preparation["short_side"]
    frames = read_video(item.path, short_side=side).frames
    from_array = predict(net, frames, protocol="paper")
    assert from_file.predictions == from_array.predictions
    probabilities = torch.from_numpy(stored.fused).double().softmax(0)
    by_label = dict(zip(net.class_names, probabilities.tolist(), strict=True))
    assert {entry.label: entry.score for entry in from_file.predictions} == pytest.approx(by_label)
    scores = [entry.score for entry in from_file.predictions]
    assert scores == sorted(scores, reverse=True)


def test_a_report_is_written_and_read_back(data: Path, run: Path, tmp_path: Path) -> None:
    report = evaluate(run / "st_resnet", data, store=run.parent / "store", out=tmp_path)
    write_report(report, tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())
    with np.load(tmp_path / "scores" / "st_resnet.paper.npz", allow_pickle=False) as scores:
        right = (scores["fused"].argmax(1) == scores["truth"]).mean()
    assert written["rows"]["fused"]["top1"] == right == report.accuracy()
    assert set(written["rows"]) == {"appearance", "motion", "fused"}


def test_evaluation_refuses_classes_the_model_does_not_know(run: Path, tmp_path: Path) -> None:
    for label in ("left", "up"):
        (tmp_path / label).mkdir()
        for number in range(2):
            write_video(tmp_path / label / f"{number}.mp4", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"up.*left, right"):
        evaluate(run / "st_resnet", tmp_path, store=tmp_path / "store")


def test_the_command_line_predicts(data: Path, run: Path, tmp_path: Path) -> None:
    video = data / "left" / "0.mp4"
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    model = str(run / "st_resnet_star")

    table = CliRunner().invoke(app, ["predict", model, str(video)])
    assert table.exit_code == 0
    assert "left" in table.stdout
    assert "right" in table.stdout

    both = CliRunner().invoke(app, ["predict", model, str(broken), str(video), "--json"])
    assert both.exit_code == 1
    assert "broken.mp4" in both.stderr
    (prediction,) = json.loads(both.stdout)
    assert prediction["source"] == str(video)
    assert {entry["label"] for entry in prediction["predictions"]} == {"left", "right"}

    nothing = CliRunner().invoke(app, ["predict", str(tmp_path), str(video)])
    assert nothing.exit_code == 2
    assert "error:" in nothing.stderr


def test_the_command_line_prepares_and_evaluates(data: Path, run: Path, tmp_path: Path) -> None:
    prepared = CliRunner().invoke(app, ["prepare", str(data), "--out", str(run.parent / "store")])
    assert prepared.exit_code == 0
    ((new, there),) = re.findall(r"(\d+) prepared, (\d+) already there, 0 failed", prepared.stderr)
    assert int(new) + int(there) == 12
    assert int(there) >= 10  # training has prepared its own

    options = ["--store", str(run.parent / "store"), "--out", str(tmp_path), "--precision", "bf16"]
    evaluated = CliRunner().invoke(app, ["evaluate", str(run / "two_stream"), str(data), *options])
    assert evaluated.exit_code == 0
    assert "motion" in evaluated.stdout
    assert (tmp_path / "report.json").exists()


def test_the_command_line_trains(data: Path, run: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["train", str(data), "--depth", "7"])
    assert refused.exit_code == 2
    assert "26, 50, 101, 152, small, tiny" in refused.stderr
    refused = CliRunner().invoke(app, ["train", str(data), "--recipe", "nonsense"])
    assert refused.exit_code == 2
    assert "quick" in refused.stderr
    refused = CliRunner().invoke(app, ["train"])
    assert refused.exit_code == 2
    assert "neither DATA nor --resume" in refused.stderr

    recipe = tmp_path / "toy.toml"
    recipe.write_text(recipe_as_toml(toy_recipe()))
    again = CliRunner().invoke(
        app,
        ["train", str(data), "--out", str(run), "--recipe", str(recipe), "--workers", "0",
         "--store", str(run.parent / "store"), "--precision", "fp32"],
    )  # fmt: skip
    assert again.exit_code == 0, again.stderr
    assert f"recommended:    {run / 'st_resnet_star'}, the last phase's" in again.output


def test_the_best_network_on_videos_kept_back_is_recommended(
    data: Path, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    with caplog.at_level("INFO"):
        best = train(data, out, recipe=toy_recipe(), store=run.parent / "store", validate=0.3,
                     execution=IN_PROCESS)  # fmt: skip
    with (out / "split.csv").open() as file:
        parts = {row["name"]: row["split"] for row in csv.DictReader(file)}
    assert sorted(parts.values()).count("validation") == 4
    with (run / "split.csv").open() as file:
        before = {row["name"]: row["split"] for row in csv.DictReader(file)}
    assert {name for name, part in parts.items() if part == "test"} == {
        name for name, part in before.items() if part == "test"
    }
    kept = [item for item in open_dataset(data).train if parts[item.name] == "validation"]
    accuracies = {
        name: score_videos(
            load_model(out / name), PreparedVideos(tuple(kept), run.parent / "store", {}),
            protocol=QUICK_LOOK, precision="fp32",
        ).accuracy()
        for name in ("st_resnet_star", "st_resnet", "two_stream")
    }  # fmt: skip
    assert best == out / max(accuracies, key=lambda name: accuracies[name])
    said = next(line for line in caplog.messages if line.startswith("recommended: "))
    assert f"recommended: {best}; two_stream {100 * accuracies['two_stream']:.1f} % (" in said
    assert said.endswith(" of 4 videos kept back from training")
    with pytest.raises(UsageError, match="validate is 1"):
        train(data, tmp_path / "other", recipe=toy_recipe(), validate=1, execution=IN_PROCESS)
