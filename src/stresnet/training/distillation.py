"""Distillation: a small network learns to see what a large one sees (FitNets, Romero et al., 2015).

On random crops of training videos, a stream of the student is to give the feature maps that the
teacher's gives after conv3_x, conv4_x and conv5_x, through 1x1 convolutions that are thrown away
afterwards.

    `distil_imagenet`  ImageNet features, which no ResNet as small as "tiny" is published with:
                       RGB only, no label is used
    `distil_motion`    the motion stream of a trained recogniser; the labels are learned as well
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, Modality, StepSampler
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import UsageError
from stresnet.files import atomic_write
from stresnet.model import Stream, STResNet, commit_running_moments, load_imagenet, load_model
from stresnet.model.st_resnet import IMAGENET_RGB_MEAN
from stresnet.model.stream import Depth
from stresnet.training.loading import stack

BATCH = {"imagenet": 48, "motion": 24}  # videos
LEARNING_RATE = 2e-3  # AdamW, half a cosine down to 0
WEIGHT_DECAY = 0.02
WARM_UP = 50  # iterations
FIRST_MATCHED = 1  # conv3_x: the index of the first stage whose maps are matched
DROPOUT = 0.5  # before the student's classifier

Items = Sequence[tuple[Path, int]]  # prepared videos with their class index
Batches = Iterator[tuple[Tensor, Tensor, Tensor]]  # as `stresnet.training.loop.stack` gives them


def distil_imagenet(
    items: Items,
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
        items: videos for training only; their classes are not looked at.
        teacher_weights: an ImageNet ResNet of `teacher_depth`.
        out: a .safetensors file with torchvision's names.
        input_size: side of the crops, pixels.

    Raises:
        WeightsError: the teacher's file cannot be used.
    """
    torch.manual_seed(seed)
    teacher, student = _rgb_stream(teacher_depth, input_size), _rgb_stream(depth, input_size)
    load_imagenet(teacher, teacher_weights)
    loaded = batches(items, BATCH["imagenet"], iterations, input_size, seed, workers, "rgb")
    pairs = ((rgb, None) for rgb, _, _ in loaded)
    _learn(student, teacher, pairs, iterations, bf16, lambda line: say(f"distil {line}"))
    tensors = {name: tensor.contiguous() for name, tensor in to_torchvision(student).items()}
    with atomic_write(Path(out)) as partial:
        save_file(tensors, partial)


def distil_motion(
    items: Items,
    teacher: str | Path,
    out: str | Path,
    start: str | Path,
    *,
    iterations: int,
    card: str,
    depth: Depth = "tiny",
    seed: int = 0,
    workers: int = 1,
    bf16: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Write a two-stream model folder of `depth`, for `stresnet train --weights`.

    Its motion stream is distilled. Its appearance stream has ImageNet features and a new
    classifier: distilled with labels too, it learns the training clips by heart (docs/log.md).

    Args:
        items: the videos that the teacher was trained on.
        teacher: folder of a trained two-stream network; the student takes its input size.
        out: the student's folder.
        start: ImageNet weights of `depth`, for both streams of the student.
        card: the text of its README.md.

    Raises:
        UsageError: the teacher is no two-stream network.
        WeightsError: a file cannot be used.
    """
    trained = load_model(teacher, device="cpu")
    if trained.config["motion_residual"] or trained.config["temporal_convolutions"]:
        raise UsageError(
            f"{teacher}: an ST-ResNet, expected a two-stream network",
            remedy="give the two_stream folder of the same run",
        )
    torch.manual_seed(seed)
    input_size = trained.config["input_size"]
    student = STResNet(
        len(trained.class_names),
        depth,
        input_size=input_size,
        motion_residual=None,
        temporal_convolutions=False,
        appearance_dropout=DROPOUT,
        motion_dropout=DROPOUT,
    )
    load_imagenet(student, start)
    loaded = batches(items, BATCH["motion"], iterations, input_size, seed, workers, "flow")
    pairs = ((flow, truth) for _, flow, truth in loaded)
    _learn(
        student.motion, trained.motion, pairs, iterations, bf16, lambda line: say(f"distil {line}")
    )
    student.save_pretrained(
        Path(out), class_names=trained.class_names, preparation=trained.preparation, card=card
    )


def _learn(
    student: Stream,
    teacher: Stream,
    pairs: Iterator[tuple[Tensor, Tensor | None]],
    iterations: int,
    bf16: bool,
    say: Callable[[str], None],
) -> None:
    """Make `student` see as `teacher` does on every input (B,1,C,H,W), and say the labels (B,)."""
    for stream in (student, teacher):
        stream.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher.eval()
    student.train()
    match = nn.ModuleList(
        nn.Conv2d(_width(a), _width(b), 1)
        for a, b in list(zip(student.stages, teacher.stages, strict=True))[FIRST_MATCHED:]
    )
    learning = [*student.parameters(), *match.parameters()]
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step, (seen, truth) in enumerate(pairs):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * _schedule(step, iterations)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                wanted, _ = maps_and_scores(teacher, seen)
            maps, scores = maps_and_scores(student, seen)
            given = [conv(x) for conv, x in zip(match, maps, strict=True)]
        errors = [relative_error(a, b) for a, b in zip(given, wanted, strict=True)]
        loss = torch.stack(errors).sum()
        if truth is not None:
            loss = loss + F.cross_entropy(scores[:, 0].float(), truth)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        commit_running_moments(student)
        if (step + 1) % 50 == 0:
            unexplained = ", ".join(f"{error.item():.3f}" for error in errors)
            say(f"{step + 1}/{iterations}: unexplained variance {unexplained}")


def batches(
    items: Items,
    batch: int,
    iterations: int,
    input_size: int,
    seed: int,
    workers: int,
    modality: Modality,
) -> Batches:
    """One random chunk of each video, in ST-ResNet's crops: `iterations` batches."""
    dataset = ChunkDataset(
        items,
        ChunkSettings(1, (1, 1), "scale-jitter", input_size, modality),
        seed=seed,
        open_video=StoredVideo,
    )
    sampler = StepSampler(len(items), batch, seed=seed, last_step=iterations)
    yield from DataLoader(dataset, batch_sampler=sampler, num_workers=workers, collate_fn=stack)


def maps_and_scores(stream: Stream, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """(B,1,C,H,W) -> rectified maps (B,C',h,w) after conv3_x, conv4_x, conv5_x; scores (B,1,K)."""
    x, maps = stream.stem(x), []
    for stage in stream.stages:
        for unit in stage:
            x = unit(F.relu(x), 1)
        maps.append(F.relu(x))
    return maps[FIRST_MATCHED:], stream.head(x, 1)


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


def _rgb_stream(depth: Depth, input_size: int) -> Stream:
    return Stream(
        3, 1, depth, mean=IMAGENET_RGB_MEAN, temporal_convolutions=False, input_size=input_size
    )


def _width(stage: nn.Module) -> int:
    """Channels of a stage's maps."""
    return next(reversed(list(stage.children()))).conv3.out_channels  # type: ignore[union-attr,return-value]


def _schedule(step: int, iterations: int) -> float:
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (1 + math.cos(math.pi * step / iterations)) / 2
