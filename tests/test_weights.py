"""ImageNet weights in every kind of file and naming, and the step from phase to phase."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stresnet.errors import WeightsError
from stresnet.model import Stream, STResNet, inflate_from, load_imagenet
from stresnet.model.temporal_convolution import TemporalInit, inflate
from stresnet.model.weight_files import STEP, read_tensors
from stresnet.training.initialisation import RESNET50

State = dict[str, Tensor]


def net(**arguments: object) -> STResNet:
    return STResNet(4, "tiny", **({"input_size": 32} | arguments)).eval()  # type: ignore[arg-type]


def flat_stream(**arguments: object) -> Stream:
    options = {"mean": 0.0, "input_size": 32, "temporal_convolutions": False} | arguments
    return Stream(3, 4, "tiny", **options).eval()  # type: ignore[arg-type]


def torchvision_names(stream: Stream) -> State:
    """As torchvision's resnet names them, with a classifier of 1000 classes."""
    state = {}
    for name, tensor in stream.state_dict().items():
        for stage in (2, 3, 4, 5):
            name = name.replace(f"conv{stage}_x.", f"layer{stage - 1}.")
        name = name.replace("project_bn", "downsample.1").replace("project", "downsample.0")
        if "classifier" not in name:
            state[name] = tensor.clone()
        if name.endswith("running_var"):
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state | {"fc.weight": torch.zeros(1000, 768), "fc.bias": torch.zeros(1000)}


@pytest.fixture
def imagenet() -> State:
    """A base network with moments unlike 0 and 1."""
    stream = flat_stream()
    for name, buffer in stream.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    stream.bn1.running_var *= 3000  # of pixels, from -128 to 128, as Caffe's
    return torchvision_names(stream)


def save_npz(state: State, path: Path) -> None:
    np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})


def save_wrapped(state: State, path: Path) -> None:
    torch.save({"state_dict": {f"module.{n}": t for n, t in state.items()}, "epoch": 3}, path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("net.safetensors", save_file),
        ("net.pth", torch.save),
        ("net.pt", save_wrapped),
        ("net.npz", save_npz),
    ],
)
def test_any_kind_of_file_gives_the_same_network(
    tmp_path: Path, imagenet: State, name: str, save: Callable[[State, Path], None]
) -> None:
    save(imagenet, tmp_path / name)
    loaded = flat_stream()
    load_imagenet(loaded, tmp_path / name)
    again = torchvision_names(loaded)
    torch.testing.assert_close(again, imagenet, rtol=0, atol=0)


def test_both_streams_start_from_imagenet(tmp_path: Path, imagenet: State) -> None:
    save_file(imagenet, tmp_path / "net.safetensors")
    loaded = net()
    classifier = loaded.appearance.classifier.weight.clone()
    load_imagenet(loaded, tmp_path / "net.safetensors")

    unit = "layer3.0.conv2.weight", "conv4_x.0.conv2.weight"
    for stream in (loaded.appearance, loaded.motion):
        assert torch.equal(stream.state_dict()[unit[1]], imagenet[unit[0]])
        # Eq. 5: the second unit's 1x1 becomes temporal
        temporal = stream.conv3_x[1].conv1.weight
        torch.testing.assert_close(temporal, inflate(imagenet["layer2.1.conv1.weight"]))
    assert torch.equal(loaded.appearance.classifier.weight, classifier)


def test_cross_modality_initialisation_of_the_motion_stream(
    tmp_path: Path, imagenet: State
) -> None:
    """Mean over RGB, 20 times, not rescaled."""
    save_file(imagenet, tmp_path / "net.safetensors")
    loaded = net()
    load_imagenet(loaded, tmp_path / "net.safetensors")
    for channel in loaded.motion.conv1.weight.unbind(1):
        torch.testing.assert_close(channel, imagenet["conv1.weight"].mean(1))


def test_filters_of_divided_pixels_are_divided_and_stride_where_they_learned_to(
    tmp_path: Path, imagenet: State
) -> None:
    """torchvision's input is (x / 255 - mean) / deviation: the same function, other filters."""
    deviation = 255 * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    theirs = imagenet | {"conv1.weight": imagenet["conv1.weight"] * deviation}
    save_file(theirs, tmp_path / "net.safetensors")
    loaded = flat_stream(stride_in="3x3")
    load_imagenet(loaded, tmp_path / "net.safetensors")
    torch.testing.assert_close(loaded.conv1.weight, imagenet["conv1.weight"])
    with pytest.raises(WeightsError, match="stride in the 3x3"):
        load_imagenet(flat_stream(), tmp_path / "net.safetensors")


def test_half_precision_is_cast(tmp_path: Path, imagenet: State) -> None:
    half = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in imagenet.items()}
    save_file(half, tmp_path / "net.safetensors")
    loaded = flat_stream()
    load_imagenet(loaded, tmp_path / "net.safetensors")
    assert loaded.conv1.weight.dtype == torch.float32
    assert torch.equal(loaded.conv1.weight, half["conv1.weight"].float())


def damage(state: State, kind: str) -> State:
    match kind:
        case "missing":
            state.pop("layer1.0.bn2.running_var")
        case "extra":
            state["layer1.2.conv1.weight"] = torch.zeros(24, 96, 1, 1)
        case "shape":
            state["layer1.0.conv2.weight"] = torch.zeros(24, 24, 1, 1)
        case "nan":
            state["layer1.0.conv2.weight"][0] = torch.nan
        case "foreign":
            state["blocks.0.attn.qkv.weight"] = torch.zeros(1)
    return state


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"1 missing: conv2_x\.0\.bn2\.running_var"),
        ("extra", r"1 not of this network: conv2_x\.2\.conv1\.weight"),
        ("shape", r"conv2_x\.0\.conv2\.weight \(24, 24, 1, 1\), expected \(24, 24, 3, 3\)"),
        ("nan", r"NaN or infinite values in layer1\.0\.conv2\.weight"),
        ("foreign", r"'blocks\.0\.attn\.qkv\.weight' is not a tensor of a ResNet"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    tmp_path: Path, imagenet: State, kind: str, message: str
) -> None:
    path = tmp_path / "net.safetensors"
    save_file(damage(imagenet, kind), path)
    loaded = net()
    before = {name: tensor.clone() for name, tensor in loaded.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_imagenet(loaded, path)
    torch.testing.assert_close(loaded.state_dict(), before, rtol=0, atol=0)


class Evil:
    """What a malicious pickle does when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pkl", ".ckpt", ".joblib", ".npz"])
def test_no_file_runs_code(tmp_path: Path, suffix: str) -> None:
    mark, path = tmp_path / "ran", tmp_path / f"evil{suffix}"
    content = {"state_dict": Evil(mark)}
    if suffix in (".pth", ".pt"):
        torch.save(content, path)
    elif suffix == ".npz":
        np.savez(path, evil=np.array([Evil(mark)], dtype=object))
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(WeightsError):
        load_imagenet(net(), path)
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz"])
def test_truncated_and_random_files_are_refused(tmp_path: Path, suffix: str) -> None:
    state = {"conv1.weight": torch.randn(8, 3, 7, 7), "bn1.weight": torch.randn(8)}
    whole = tmp_path / f"whole{suffix}"
    {".safetensors": save_file, ".pth": torch.save, ".npz": save_npz}[suffix](state, whole)
    content = whole.read_bytes()
    rng = np.random.default_rng(0)
    broken = [content[: len(content) * part // 16] for part in range(16)] + [
        rng.bytes(size) for size in (1, 8, 100, 5000)
    ]
    path = tmp_path / f"broken{suffix}"
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(WeightsError):
            load_imagenet(net(), path)


def test_no_tensors_and_no_file(tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "none.pth")
    torch.save([1], tmp_path / "list.pth")
    for name, message in [
        ("none.pth", "no tensors"),
        ("list.pth", "holds a list"),
        ("absent.pth", "no such file"),
        ("net.onnx", "expected one of .safetensors"),
    ]:
        with pytest.raises(WeightsError, match=message):
            load_imagenet(net(), tmp_path / name)


def test_two_streams_become_st_resnet() -> None:
    two_stream = net(motion_residual=None, temporal_convolutions=False)
    st_resnet = net()
    inflate_from(st_resnet, two_stream.state_dict())
    for name, tensor in two_stream.state_dict().items():
        loaded = st_resnet.state_dict()[name]
        torch.testing.assert_close(loaded, inflate(tensor) if loaded.ndim == 3 else tensor)


def test_st_resnet_becomes_st_resnet_star() -> None:
    st_resnet, star = net(), net(temporal_pool="pool5")
    inflate_from(star, st_resnet.state_dict())
    torch.testing.assert_close(star.state_dict(), st_resnet.state_dict(), rtol=0, atol=0)


def test_st_resnet_becomes_two_streams_that_start_from_it() -> None:
    """Filters are the sums over time, which undo both ways to inflate; factors are left out."""
    flat, back = (net(motion_residual=None, temporal_convolutions=False) for _ in range(2))
    for how in get_args(TemporalInit):
        st_resnet = net(residual_scale="channel")
        inflate_from(st_resnet, flat.state_dict(), temporal_init=how)
        inflate_from(back, st_resnet.state_dict())
        torch.testing.assert_close(back.state_dict(), flat.state_dict())


def test_a_small_network_takes_the_first_layers_of_resnet50() -> None:
    small, whole = (STResNet(3, depth, input_size=64) for depth in ("small", 50))
    for each in (small, whole):
        load_imagenet(each, RESNET50)
    expected = whole.state_dict()
    for name, tensor in small.state_dict().items():
        if "classifier" not in name:
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


def test_a_small_network_refuses_other_resnets(tmp_path: Path) -> None:
    """ResNet-152 has layers of the same names and shapes, and more between them."""
    tensors = read_tensors(RESNET50)
    deeper = {"layer2.4.conv1.weight": tensors["layer2.3.conv1.weight"].clone()}
    save_file(tensors | deeper, tmp_path / "152.safetensors")
    with pytest.raises(WeightsError, match=r"not of this network: conv3_x\.4"):
        load_imagenet(STResNet(3, "small", input_size=64), tmp_path / "152.safetensors")


def test_filters_of_8_bits_are_multiplied_by_their_steps(tmp_path: Path) -> None:
    whole, step = torch.tensor([[1, -127], [3, 0]], dtype=torch.int8), torch.tensor([[0.5], [2.0]])
    others = {"b": step.clone(), f"b{STEP}": step.clone()}  # numbers that are no multiples
    save_file({"a": whole, f"a{STEP}": step} | others, tmp_path / "w.safetensors")
    found = read_tensors(tmp_path / "w.safetensors")
    assert found.keys() == {"a"} | others.keys()
    assert torch.equal(found["b"], step)
    assert found["a"].tolist() == [[0.5, -63.5], [6.0, 0.0]]
