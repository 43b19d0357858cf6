"""A model folder: what is saved is loaded, and what is damaged is refused."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stresnet.errors import UsageError, WeightsError
from stresnet.model import STResNet, load_model
from stresnet.model.model_folder import Bits
from stresnet.model.weight_files import read_tensors
from stresnet.prediction.live_labels import live
from stresnet.prediction.recognise import predict, timeline

NAMES = ["archery", "βόλεϊ", "=cmd()"]
PREPARATION = {"short_side": 256, "flow": {"method": "tv_l1", "bound": 20.0}}


def network() -> STResNet:
    net = STResNet(3, "tiny", input_size=32, temporal_pool="pool5")
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return net


def save(net: STResNet, folder: Path, *, bits: Bits = 32) -> None:
    net.save_pretrained(
        folder, class_names=NAMES, preparation=PREPARATION, card="# A card\n", bits=bits
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(network(), tmp_path / "model")
    return tmp_path / "model"


def test_a_saved_network_is_loaded_as_it_was(tmp_path: Path) -> None:
    net = network()
    save(net, tmp_path / "a" / "model")
    loaded = load_model(tmp_path / "a" / "model")
    assert not loaded.training
    assert loaded.class_names == tuple(NAMES)
    assert loaded.preparation == PREPARATION
    assert loaded.config == net.config
    torch.testing.assert_close(loaded.state_dict(), net.state_dict(), rtol=0, atol=0)
    rgb, flow = torch.rand(1, 5, 3, 32, 32) * 255, torch.rand(1, 5, 20, 32, 32) * 255
    torch.testing.assert_close(loaded(rgb, flow), net.eval()(rgb, flow), rtol=0, atol=0)


def test_loading_draws_no_random_number(folder: Path) -> None:
    before = torch.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_numbers_whose_sum_is_too_large_are_still_finite(tmp_path: Path) -> None:
    save_file({"a": torch.full((3,), 3e38)}, tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors")["a"].tolist() == pytest.approx([3e38] * 3)


def test_a_network_without_names_is_refused_before_the_work() -> None:
    frames = np.zeros((20, 64, 64, 3), np.uint8)
    net = STResNet(3, "tiny", input_size=32)
    for recognise in (
        lambda: predict(net, frames),
        lambda: timeline(net, frames),
        lambda: next(live(net, iter(()))),
    ):
        with pytest.raises(UsageError, match="no class names, expected 3"):
            recognise()
    net.class_names = ("a", "b")
    with pytest.raises(UsageError, match="2 class names, expected 3"):
        predict(net, frames)
    net.class_names = ("a", "b", "c")
    assert predict(net, frames).label in net.class_names


@pytest.mark.parametrize("device", ["meta", torch.device("meta")])
def test_it_is_loaded_on_the_device_that_is_asked_for(
    folder: Path, device: str | torch.device
) -> None:
    net = load_model(folder, device=device)
    state = {**net.state_dict(), **dict(net.named_buffers())}
    assert {tensor.device for tensor in state.values()} == {net.device} == {torch.device("meta")}


def test_a_wrong_device_is_found_before_anything_is_read_or_fetched() -> None:
    with pytest.raises(UsageError, match="device is 'tpu'"):
        load_model("nobody/nothing", device="tpu")


def test_the_folder_holds_three_files(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "config.json",
        "README.md",
    }
    assert (folder / "README.md").read_text() == "# A card\n"


@pytest.mark.parametrize(
    ("bits", "least", "most", "error"),
    [(16, 0.5, 0.52, 2.0**-11), (8, 0.25, 0.3, 0.501 / 127)],
)
def test_fewer_bits_make_smaller_files_that_load_as_float32(
    tmp_path: Path, bits: Bits, least: float, most: float, error: float
) -> None:
    """A row is rounded by no more than a part of its greatest number, a vector not at all."""
    net = network()
    net.motion.conv1.weight.data[0] = 0
    save(net, tmp_path / "full")
    save(net, tmp_path / "small", bits=bits)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("small", "full")]
    assert least < sizes[0] / sizes[1] < most
    loaded = load_model(tmp_path / "small", device="cpu").state_dict()
    for name, tensor in net.state_dict().items():
        assert loaded[name].dtype == torch.float32
        if tensor.ndim == 1:
            assert torch.equal(loaded[name], tensor)
        else:
            rows, errors = tensor.flatten(1), (loaded[name] - tensor).flatten(1)
            assert (errors.abs().amax(1) <= rows.abs().amax(1) * error).all()
    assert not torch.equal(loaded["motion.conv1.weight"], net.motion.conv1.weight)


def test_channels_last_networks_are_saved_too(tmp_path: Path) -> None:
    net = network().to(memory_format=torch.channels_last)
    save(net, tmp_path / "model")
    torch.testing.assert_close(load_model(tmp_path / "model").state_dict(), net.state_dict())


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "b"]])
def test_refuses_to_save_wrong_class_names(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UsageError, match=r"class names.*expected 3 different"):
        network().save_pretrained(tmp_path / "m", class_names=names, preparation={}, card="")
    assert not (tmp_path / "m").exists()


def test_other_numbers_of_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bits is 5; expected 32, 16 or 8"):
        save(network(), tmp_path / "m", bits=5)  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("value", "bits"), [(torch.nan, 32), (torch.nan, 8), (1e6, 16)])
def test_refuses_to_save_what_is_not_finite(tmp_path: Path, value: float, bits: Bits) -> None:
    net = network()
    net.motion.conv1.weight.data[0, 0, 0, 0] = value
    with pytest.raises(WeightsError, match=r"motion\.conv1\.weight: not every value is finite"):
        save(net, tmp_path / "m", bits=bits)
    assert not (tmp_path / "m").exists()


def test_a_failed_save_leaves_the_former_model(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    net = network()
    net.motion.conv1.weight.data.fill_(torch.inf)
    with pytest.raises(WeightsError):
        save(net, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("part", range(8))
def test_truncated_weights_are_refused(folder: Path, part: int) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) * part // 8])
    with pytest.raises(WeightsError, match=r"model\.safetensors: cannot be read"):
        load_model(folder)


def test_garbage_and_pickles_are_refused(folder: Path) -> None:
    for content in (b"", np.random.default_rng(0).bytes(1000), pickle.dumps({"a": 1}), b"PK\3\4"):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read"):
            load_model(folder)


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "model.pth")
    with pytest.raises(WeightsError, match=r"model\.pth: is not a model folder"):
        load_model(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"1 missing: motion\.conv1\.weight"),
        ("extra", "1 not of this network: more"),
        ("shape", r"motion\.conv1\.weight \(2,\), expected \(24, 20, 7, 7\)"),
        ("nan", r"NaN or infinite values in motion\.conv1\.weight"),
    ],
)
def test_other_tensors_are_named(folder: Path, change: str, message: str) -> None:
    path, name = folder / "model.safetensors", "motion.conv1.weight"
    state = load_file(path)
    match change:
        case "missing":
            del state[name]
        case "extra":
            state["more"] = torch.zeros(1)
        case "shape":
            state[name] = torch.zeros(2)
        case "nan":
            state[name][0] = torch.nan
    save_file(state, path)
    with pytest.raises(WeightsError, match=message):
        load_model(folder)


def test_a_model_with_arguments_that_are_gone_is_loaded(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    former = {"norm_group": None, "rgb_std": [1.0, 1.0, 1.0]}
    for change, message in ((former, ""), (former | {"norm_group": 4}, "norm_group")):
        content = config | {"architecture": config["architecture"] | change}
        (folder / "config.json").write_text(json.dumps(content))
        if message:
            with pytest.raises(WeightsError, match=message):
                load_model(folder)
        else:
            assert load_model(folder).config == config["architecture"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"architecture": None}, "'architecture' is None"),
        ({"class_names": NAMES[:2]}, "2 class names, expected 3"),
        ({"class_names": [1, 2, 3]}, "class names"),
        ({"preparation": []}, "'preparation' is "),
        ({"architecture": {"num_classes": 3, "wings": 2}}, "no network can be built"),
        ({"architecture": {"num_classes": 3, "depth": 34}}, "depth is 34"),
        ({"architecture": {"num_classes": 3, "rgb_mean": "abc"}}, "no network can be built"),
    ],
)
def test_other_configurations_are_refused(
    folder: Path, change: dict[str, object], message: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=message):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_configuration_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_model(folder)


def test_a_folder_of_models_is_told_from_a_model(folder: Path) -> None:
    """A run's, which `evaluate` takes as it is."""
    with pytest.raises(WeightsError, match=r"holds several models: model\. Fix: .*/model"):
        load_model(folder.parent)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors: no such file"):
        load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match="is not a model folder"):
        load_model(folder)
