"""Models of the hub: what is asked of it, and what never is. No test touches a network."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stresnet.errors import EnvironmentProblem, UsageError, WeightsError
from stresnet.model import Stream, STResNet, find_weights, load_imagenet, load_model, shipped_models

hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")

FILES = {"README.md", "config.json", "model.safetensors"}


def http_library() -> Any:
    """What huggingface_hub talks through; its errors are not OSErrors."""
    return importlib.import_module(errors.HfHubHTTPError.__bases__[0].__module__.split(".")[0])


@pytest.fixture
def net() -> STResNet:
    net = STResNet(2, "tiny", input_size=32)
    net.class_names, net.preparation, net.card = ("a", "b"), {"short_side": 256}, "# A card\n"
    return net


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What is asked of a hub, whose every model is in the folder `cache`."""
    calls: list[dict[str, Any]] = []

    def snapshot_download(repo_id: str, **how: Any) -> str:
        calls.append({"repo_id": repo_id, **how})
        return str(tmp_path / "cache")

    def hf_hub_download(repo_id: str, file: str, **how: Any) -> str:
        calls.append({"repo_id": repo_id, "file": file, **how})
        return str(tmp_path / "cache" / file)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hub, "hf_hub_download", hf_hub_download)
    return calls


@pytest.fixture
def uploaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is done to the hub, and the files that come there."""
    calls: list[tuple[str, dict[str, Any]]] = []

    class Api:
        def __init__(self, token: str | None, library_name: str) -> None:
            calls.append(("HfApi", {"token": token}))

        def create_repo(self, repo_id: str, **how: Any) -> None:
            calls.append(("create_repo", {"repo_id": repo_id, **how}))

        def create_branch(self, repo_id: str, **how: Any) -> None:
            calls.append(("create_branch", {"repo_id": repo_id, **how}))

        def upload_folder(self, *, folder_path: Path, **how: Any) -> SimpleNamespace:
            files = {path.name: path.read_bytes() for path in folder_path.iterdir()}
            calls.append(("upload_folder", {"files": files, **how}))
            return SimpleNamespace(commit_url="https://hub/commit/1")

    monkeypatch.setattr(hub, "HfApi", Api)
    return calls


def refusing(error: Exception) -> Callable[..., str]:
    def snapshot_download(*_: object, **__: object) -> str:
        raise error

    return snapshot_download


def test_a_model_of_the_hub_is_the_one_that_was_saved(
    asked: list[dict[str, Any]], net: STResNet, tmp_path: Path
) -> None:
    net.save_pretrained(tmp_path / "cache")
    how = {"revision": "v1", "token": "hf_x", "cache_dir": "there", "local_files_only": True}
    loaded = STResNet.from_pretrained("someone/fights", **how)
    assert (loaded.class_names, loaded.preparation, loaded.card) == (
        net.class_names,
        net.preparation,
        net.card,
    )
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), net.parameters(), strict=True)
    )
    (call,) = asked
    assert call["repo_id"] == "someone/fights"
    assert {name: call[name] for name in how} == how
    assert set(call["allow_patterns"]) == FILES  # nothing that could be code


def test_what_is_on_this_disk_is_never_looked_up(
    asked: list[dict[str, Any]], net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net.save_pretrained("runs/mine")
    for source in ("runs/mine", Path("runs/mine"), str(tmp_path / "runs" / "mine")):
        assert load_model(source).class_names == ("a", "b")
    assert not asked


@pytest.mark.parametrize(
    "source",
    ["runs/slip", "mine", "/no/where", "./a/b", "../b", "a/b/c", "a/b\n", Path("some/one")],
)
def test_a_slip_in_a_folders_name_stays_at_home(
    source: str | Path,
    asked: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(WeightsError, match="no such model folder"):
        load_model(source)
    assert not asked


def test_a_folder_has_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a model on the hub"):
        load_model(tmp_path, revision="v1")


def test_what_is_not_in_the_cache_is_not_fetched_unless_allowed() -> None:
    """The real huggingface_hub, which here must not go online."""
    with pytest.raises(EnvironmentProblem, match="cache on this disk") as caught:
        load_model("nobody-at-all/nothing-at-all", local_files_only=True)
    assert "local_files_only" in caught.value.remedy


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (errors.OfflineModeIsEnabled("offline"), EnvironmentProblem, "refused or cannot"),
        (errors.LocalEntryNotFoundError("no"), EnvironmentProblem, "cannot be reached"),
        (ConnectionError("reset\nby peer"), EnvironmentProblem, r"\(reset\)"),
        (http_library().ConnectError("no route"), EnvironmentProblem, r"\(no route\)"),
        (errors.HFValidationError("dots"), UsageError, "dots"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_hubs_errors_become_ours(
    error: Exception, kind: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "snapshot_download", refusing(error))
    with pytest.raises(kind, match=sentence):
        load_model("someone/fights")


@pytest.mark.parametrize("name", ["RepositoryNotFoundError", "RevisionNotFoundError"])
def test_a_model_that_is_not_there_is_no_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = getattr(errors, name)
    error = kind.__new__(kind)  # whose making wants a reply of the server
    monkeypatch.setattr(hub, "snapshot_download", refusing(error))
    with pytest.raises(WeightsError, match=r"someone/fights, revision v1: neither here"):
        load_model("someone/fights", revision="v1")


def test_a_subclass_loads_itself(
    asked: list[dict[str, Any]], net: STResNet, tmp_path: Path
) -> None:
    class Mine(STResNet):
        pass

    net.save_pretrained(tmp_path)
    assert type(Mine.from_pretrained(tmp_path)) is Mine


def test_a_model_that_ships_is_loaded_by_its_name(
    asked: list[dict[str, Any]], net: STResNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from a folder of videos that has the same name, but from a model folder that has."""
    monkeypatch.chdir(tmp_path)
    assert "fight" in shipped_models()
    assert load_model("fight").class_names == ("fight", "noFight")
    Path("fight").mkdir()
    assert load_model("fight").class_names == ("fight", "noFight")
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_model(Path("fight"))
    net.save_pretrained("fight")
    assert load_model("fight").class_names == ("a", "b")
    assert not asked


def test_an_unknown_name_is_answered_with_those_that_ship() -> None:
    with pytest.raises(WeightsError) as caught:
        load_model("figth")
    assert "a model that ships: exercise, fight" in caught.value.remedy


@pytest.mark.parametrize(
    ("weights", "repo_id", "file"),
    [
        ("timm/resnet50.a1_in1k", "timm/resnet50.a1_in1k", "model.safetensors"),
        ("someone/nets/deep/r50.safetensors", "someone/nets", "deep/r50.safetensors"),
    ],
)
def test_imagenet_weights_of_the_hub(
    weights: str, repo_id: str, file: str, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    stream = Stream(3, 2, "tiny", mean=0.0, input_size=32, temporal_convolutions=False)
    there = tmp_path / "cache" / file
    there.parent.mkdir(parents=True)
    save_file({"conv1.weight": torch.zeros(24, 3, 7, 7), "fc.bias": torch.zeros(9)}, there)
    found = find_weights(weights, revision="v1", token="hf_x")
    assert found == there
    assert (asked[0]["repo_id"], asked[0]["file"]) == (repo_id, file)
    assert (asked[0]["revision"], asked[0]["token"]) == ("v1", "hf_x")
    with pytest.raises(WeightsError, match="the tensors do not fit the network"):
        load_imagenet(stream, found)


@pytest.mark.parametrize(
    "weights",
    ["runs/slip.pth", "no/folder.pth", "net.safetensors", "/no/where", Path("some/one"),
     "../a/b"],
)  # fmt: skip
def test_a_slip_in_a_weight_files_name_stays_at_home(
    weights: str | Path,
    asked: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(WeightsError, match="no such file"):
        find_weights(weights)
    assert not asked


def test_a_weight_file_here_is_itself(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some").mkdir()
    Path("some/net.pth").touch()
    for weights in ("some/net.pth", "some", Path("some/net.pth")):
        assert find_weights(weights) == Path(weights)
    assert not asked


def test_pickles_are_not_fetched(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match=r"only \.safetensors"):
        find_weights("someone/nets/r50.pth")
    assert not asked


def test_pushed_is_what_the_network_carries(
    net: STResNet, uploaded: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    address = net.push_to_hub("someone/fights", bits=16, token="hf_x")
    assert address == "https://hub/commit/1"
    (_, login), (made, repository), (pushed, upload) = uploaded
    assert login == {"token": "hf_x"}
    assert (made, pushed) == ("create_repo", "upload_folder")
    assert repository == {"repo_id": "someone/fights", "private": True, "exist_ok": True}
    net.save_pretrained(tmp_path / "same", bits=16)
    assert upload.pop("files") == {
        path.name: path.read_bytes() for path in (tmp_path / "same").iterdir()
    }
    assert set(upload.pop("allow_patterns")) == FILES
    assert upload == {"repo_id": "someone/fights"}


def test_nothing_is_pushed_without_names(
    net: STResNet, uploaded: list[tuple[str, dict[str, Any]]]
) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        net.push_to_hub("fights")
    net.class_names = ()
    with pytest.raises(UsageError, match="0 class names"):
        net.push_to_hub("someone/fights")
    assert not uploaded


def test_without_the_extra_the_remedy_is_a_command(
    net: STResNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_hub(name: str, *rest: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_hub)
    for call in (lambda: load_model("someone/fights"), lambda: net.push_to_hub("someone/fights")):
        with pytest.raises(EnvironmentProblem) as caught:
            call()
        assert "pip install 'stresnet[hub]'" in caught.value.remedy
