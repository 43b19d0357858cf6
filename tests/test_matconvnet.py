"""The authors' networks: MatConvNet files, as their MATLAB code saves them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import Tensor

from stresnet.errors import EnvironmentProblem, WeightsError
from stresnet.model import Stream, STResNet, load_imagenet, load_matconvnet
from stresnet.model.key_mapping import to_our_names

Arrays = dict[str, np.ndarray]


def st_resnet(**arguments: object) -> STResNet:
    net = STResNet(4, "tiny", input_size=32, **arguments).eval()  # type: ignore[arg-type]
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return net


def matconvnet_filter(tensor: Tensor) -> np.ndarray:
    """(out, in[, h, w]) or, temporal, (out, in, 3) -> MatConvNet's (h, w, in, out)."""
    if tensor.ndim == 2:
        tensor = tensor[:, :, None, None]
    if tensor.ndim == 3:
        tensor = tensor[:, :, None, :]
    return tensor.permute(2, 3, 1, 0).numpy()


def matconvnet_names(stream: Stream, ending: str = "") -> Arrays:
    """The parameters of one stream by the names of imagenet-resnet-50-dag.mat."""
    parameters: Arrays = {}

    def add(conv: torch.nn.Module, bn: torch.nn.Module, conv_name: str, bn_name: str) -> None:
        sigma = (bn.running_var + 1e-5).sqrt()
        parameters[f"{conv_name}_filter{ending}"] = matconvnet_filter(conv.weight.detach())
        parameters[f"{bn_name}_mult{ending}"] = bn.weight.detach().numpy()[:, None]
        parameters[f"{bn_name}_bias{ending}"] = bn.bias.detach().numpy()[:, None]
        parameters[f"{bn_name}_moments{ending}"] = torch.stack([bn.running_mean, sigma], 1).numpy()

    add(stream.conv1, stream.bn1, "conv1", "bn_conv1")
    for number, stage in enumerate(stream.stages, start=2):
        for letter, unit in zip("ab", stage, strict=True):
            at = f"{number}{letter}_branch"
            add(unit.conv1, unit.bn1, f"res{at}2a", f"bn{at}2a")
            add(unit.conv2, unit.bn2, f"res{at}2b", f"bn{at}2b")
            add(unit.conv3, unit.bn3, f"res{at}2c", f"bn{at}2c")
            if unit.project is not None:
                add(unit.project, unit.project_bn, f"res{at}1", f"bn{at}1")
    weight, bias = stream.classifier.weight.detach(), stream.classifier.bias.detach()
    parameters[f"fc1000_filter{ending}"] = matconvnet_filter(weight)
    parameters[f"fc1000_bias{ending}"] = bias.numpy()[None]
    return parameters


def save_dagnn(path: Path, parameters: Arrays, *, as_net: bool = True) -> None:
    """`net.params(i).name`, `.value`; the base networks have the fields at the top of the file."""
    structs = np.zeros((1, len(parameters)), dtype=[("name", object), ("value", object)])
    for at, (name, value) in enumerate(parameters.items()):
        structs[0, at] = name, value
    savemat(path, {"net": {"params": structs, "meta": 1}} if as_net else {"params": structs})


def both_streams(net: STResNet) -> Arrays:
    return matconvnet_names(net.appearance, "_spatial") | matconvnet_names(net.motion, "_temporal")


def clip() -> tuple[Tensor, Tensor]:
    return torch.rand(1, 5, 3, 32, 32) * 255, torch.rand(1, 5, 20, 32, 32) * 255


def test_a_released_st_resnet_computes_the_same(tmp_path: Path) -> None:
    released, loaded = st_resnet(), st_resnet()
    save_dagnn(tmp_path / "st.mat", both_streams(released))
    load_matconvnet(loaded, tmp_path / "st.mat")
    inputs = clip()
    torch.testing.assert_close(loaded(*inputs), released(*inputs), rtol=1e-4, atol=1e-4)


def test_a_released_two_stream_network_is_inflated(tmp_path: Path) -> None:
    released, loaded = st_resnet(temporal_convolutions=False), st_resnet()
    save_dagnn(tmp_path / "two.mat", both_streams(released))
    load_matconvnet(loaded, tmp_path / "two.mat")
    tap = loaded.motion.conv2_x[1].conv3.weight[:, :, 0]
    torch.testing.assert_close(tap, released.motion.conv2_x[1].conv3.weight[:, :, 0, 0] / 3)


def test_a_released_base_network_is_one_stream(tmp_path: Path) -> None:
    released, loaded = (st_resnet(temporal_convolutions=False).motion for _ in range(2))
    save_dagnn(tmp_path / "motion.mat", matconvnet_names(released))
    load_matconvnet(loaded, tmp_path / "motion.mat")
    torch.testing.assert_close(loaded.state_dict(), released.state_dict(), rtol=1e-4, atol=1e-5)
    with pytest.raises(WeightsError, match="holds one stream, expected two"):
        load_matconvnet(st_resnet(), tmp_path / "motion.mat")


@pytest.mark.parametrize("as_net", [True, False])
def test_the_imagenet_network_of_matconvnet(tmp_path: Path, as_net: bool) -> None:
    """Its conv1 has a bias, which BatchNorm takes up; its 1000 classes are dropped."""
    base, loaded = st_resnet(temporal_convolutions=False).appearance, st_resnet().appearance
    parameters = matconvnet_names(base)
    bias = torch.randn(24)
    parameters["conv1_bias"] = bias.numpy()[None]
    save_dagnn(tmp_path / "imagenet.mat", parameters, as_net=as_net)
    load_imagenet(loaded, tmp_path / "imagenet.mat")
    torch.testing.assert_close(loaded.bn1.running_mean, base.bn1.running_mean - bias)
    torch.testing.assert_close(loaded.conv1.weight, base.conv1.weight)
    assert not torch.equal(loaded.classifier.weight, base.classifier.weight)


def test_plain_variables_and_npz_hold_the_same_names(tmp_path: Path) -> None:
    base = st_resnet(temporal_convolutions=False).appearance
    savemat(tmp_path / "plain.mat", matconvnet_names(base))
    np.savez(tmp_path / "plain.npz", **matconvnet_names(base))
    for name in ("plain.mat", "plain.npz"):
        loaded = st_resnet(temporal_convolutions=False).appearance
        load_matconvnet(loaded, tmp_path / name)
        torch.testing.assert_close(loaded.state_dict(), base.state_dict(), rtol=1e-4, atol=1e-5)


def test_units_of_deep_stages_are_numbered() -> None:
    names = ["res4a", "res4b1", "res4b22", "res3b", "res4f"]
    filters = {f"{name}_branch2b_filter": torch.zeros(3, 3, 2, 2) for name in names}
    assert [name.split(".conv2")[0] for name in to_our_names(filters, "here")] == [
        "conv4_x.0",
        "conv4_x.1",
        "conv4_x.22",
        "conv3_x.1",
        "conv4_x.5",
    ]


def test_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    save_dagnn(tmp_path / "st.mat", both_streams(st_resnet()))
    net = STResNet(5, "tiny", input_size=32)
    with pytest.raises(WeightsError, match=r"appearance\.classifier\.weight \(4, 768\), expected"):
        load_matconvnet(net, tmp_path / "st.mat")


def test_two_streams_do_not_fit_one(tmp_path: Path) -> None:
    save_dagnn(tmp_path / "st.mat", both_streams(st_resnet()))
    with pytest.raises(WeightsError, match="holds two streams, expected one"):
        load_matconvnet(st_resnet().motion, tmp_path / "st.mat")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "conv9_filter_spatial",
            np.zeros((1, 1, 2, 2)),
            "'conv9_filter' is not a tensor of a ResNet",
        ),
        ("left_over", np.zeros((1, 1)), "'left_over' is not a tensor"),
        ("bn_conv1_moments_spatial", np.zeros((24, 3)), r"shape \(24, 3\), expected"),
        ("bn_conv1_mult_spatial", np.full((24, 1), np.nan), "NaN or infinite"),
    ],
)
def test_odd_parameters_are_named(
    tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    save_dagnn(tmp_path / "st.mat", both_streams(st_resnet()) | {name: value})
    with pytest.raises(WeightsError, match=message):
        load_matconvnet(st_resnet(), tmp_path / "st.mat")


def test_broken_files_are_refused(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mat", tmp_path / "broken.mat"
    save_dagnn(whole, {"conv1_filter_spatial": np.random.default_rng(0).random((7, 7, 3, 8))})
    content = whole.read_bytes()
    rng = np.random.default_rng(0)
    for data in (b"", rng.bytes(1), rng.bytes(5000), content[:90], content[: len(content) // 2]):
        path.write_bytes(data)
        with pytest.raises(WeightsError):
            load_matconvnet(st_resnet(), path)


def test_a_crash_of_the_reader_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr("stresnet.model.mat_to_npz.__file__", str(crash))
    save_dagnn(tmp_path / "st.mat", both_streams(st_resnet()))
    with pytest.raises(WeightsError, match="its reader crashed"):
        load_matconvnet(st_resnet(), tmp_path / "st.mat")


def test_matlab_73_says_how_to_convert(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "new.mat").write_bytes(header + bytes(400))
    with pytest.raises(WeightsError, match=r"save\(file, '-v7'\)"):
        load_matconvnet(st_resnet(), tmp_path / "new.mat")


def test_without_scipy_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "st.mat").touch()
    monkeypatch.setattr("stresnet.model.weight_files.find_spec", lambda _: None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'stresnet\[matconvnet\]'"):
        load_matconvnet(st_resnet(), tmp_path / "st.mat")
