"""A small network's ImageNet features: learned from those of a large ResNet, on unlabelled frames.

There is no ResNet with ImageNet weights as small as the laptop network ("tiny"). So a tiny stream
learns to give, on frames of training videos, the feature maps that the large ResNet gives (FitNets,
Romero et al., 2015): after conv3_x, conv4_x and conv5_x, each through a 1x1 convolution of its own
that is thrown away afterwards. No label is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stresnet.data.chunks import ChunkDataset, ChunkSettings, StepSampler
from stresnet.data.store import StoredVideo
from stresnet.files import whole_file
from stresnet.model import Stream, commit_running_moments, load_imagenet
from stresnet.model.st_resnet import IMAGENET_RGB_MEAN
from stresnet.model.stream import Depth
from stresnet.training.loop import stack

BATCH = 48  # frames
LEARNING_RATE = 2e-3  # AdamW, half a cosine down to 0
WEIGHT_DECAY = 0.02
WARM_UP = 50  # iterations
FIRST_MATCHED = 1  # conv3_x: the index of the first stage whose maps are matched


def distil(
    videos: Sequence[Path],
    teacher_weights: str | Path,
    out: str | Path,
    *,
    iterations: int,
    depth: Depth = "tiny",
    teacher_depth: Depth = 50,
    input_size: int = 112,
    seed: int = 0,
    workers: int = 1,
    bf16: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Write an RGB stream of `depth`, without classifier, that `load_imagenet` reads.

    Args:
        videos: prepared videos (`stresnet prepare`), those for training only.
        teacher_weights: an ImageNet ResNet of `teacher_depth`.
        out: a .safetensors file with torchvision's names.
        input_size: side of the crops, pixels.

    Raises:
        WeightsError: the teacher's file cannot be used.
    """
    torch.manual_seed(seed)
    teacher, student = _stream(teacher_depth, input_size), _stream(depth, input_size)
    load_imagenet(teacher, teacher_weights)
    teacher.eval()
    student.train()
    match = nn.ModuleList(
        nn.Conv2d(_width(a), _width(b), 1)
        for a, b in list(zip(student.stages, teacher.stages, strict=True))[FIRST_MATCHED:]
    )
    learning = [*student.parameters(), *match.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    dataset = ChunkDataset(
        [(path, 0) for path in videos],
        ChunkSettings(chunks=1, tau=(1, 1), crop="scale-jitter", size=input_size),
        seed=seed,
        open_video=StoredVideo,
    )
    sampler = StepSampler(len(dataset.items), BATCH, seed=seed, last_step=iterations)
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=workers, collate_fn=stack)
    for step, (rgb, _, _) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _schedule(step, iterations)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                wanted = feature_maps(teacher, rgb)
            given = [conv(x) for conv, x in zip(match, feature_maps(student, rgb), strict=True)]
        losses = [relative_error(a, b) for a, b in zip(given, wanted, strict=True)]
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        optimizer.zero_grad()
        commit_running_moments(student)
        if (step + 1) % 50 == 0:
            errors = ", ".join(f"{loss.item():.3f}" for loss in losses)
            say(f"distil {step + 1}/{iterations}: unexplained variance {errors}")

    tensors = {name: tensor.contiguous() for name, tensor in to_torchvision(student).items()}
    with whole_file(Path(out)) as partial:
        save_file(tensors, partial)


def feature_maps(stream: Stream, rgb: Tensor) -> list[Tensor]:
    """rgb (B,1,3,H,W) -> rectified maps (B,C,h,w) after conv3_x, conv4_x, conv5_x."""
    x, maps = stream.stem(rgb), []
    for stage in stream.stages:
        for unit in stage:
            x = unit(F.relu(x), 1)
        maps.append(F.relu(x))
    return maps[FIRST_MATCHED:]


def relative_error(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean square difference, as a fraction of the variance of `wanted`."""
    return F.mse_loss(given.float(), wanted.float()) / wanted.float().var()


def to_torchvision(stream: Stream) -> dict[str, Tensor]:
    """A stream's trunk under torchvision's names, convolutions in half precision."""
    renamed = {}
    for name, tensor in stream.state_dict().items():
        if name.startswith("classifier"):
            continue
        for number in (2, 3, 4, 5):
            name = name.replace(f"conv{number}_x.", f"layer{number - 1}.")
        name = name.replace("project_bn.", "downsample.1.").replace("project.", "downsample.0.")
        renamed[name] = tensor.half() if tensor.ndim == 4 else tensor
    return renamed


def _stream(depth: Depth, input_size: int) -> Stream:
    net = Stream(
        3, 1, depth, mean=IMAGENET_RGB_MEAN, temporal_convolutions=False, input_size=input_size
    )
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _width(stage: nn.Module) -> int:
    """Channels of a stage's maps."""
    return next(reversed(list(stage.children()))).conv3.out_channels  # type: ignore[union-attr,return-value]


def _schedule(step: int, iterations: int) -> float:
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (1 + math.cos(math.pi * step / iterations)) / 2
