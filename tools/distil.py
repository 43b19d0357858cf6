"""Distillation: a small network learns to see what a large one sees (FitNets, Romero et al., 2015).

    python tools/distil.py DATA --teacher TEACHER --out OUT [--iterations 1200] [--weights FILE]
        [--fold FOLD] [--store STORE] [--workers 1] [--precision auto]

On random crops of the training videos of DATA, a stream of the student is to give the feature maps
that the teacher's gives after conv3_x, conv4_x and conv5_x, through 1x1 convolutions that are
thrown away afterwards. TEACHER is one of two things:

    the file of an ImageNet ResNet-50    OUT is a file of ImageNet weights for the small network,
                                         which no ResNet as small as "tiny" is published with. RGB
                                         only, and no label is used
    the folder of a two-stream network   OUT is a model folder for `stresnet train --weights`: the
    trained on DATA                      motion stream is distilled, and learns the labels as well;
                                         the appearance stream has ImageNet features (--weights)
                                         and a new classifier, since distilled with labels, too, it
                                         learns the training clips by heart (docs/log.md)
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stresnet.data.loading.dataset import ChunkDataset, ChunkSettings, Modality, StepSampler
from stresnet.data.prepare.ensure import ensure_prepared
from stresnet.data.splits.open import open_dataset
from stresnet.data.store.location import default_store, store_path
from stresnet.data.store.reader import StoredVideo
from stresnet.device import resolve_precision
from stresnet.errors import StresnetError, UsageError
from stresnet.files import atomic_write
from stresnet.model import Stream, STResNet, commit_running_moments, load_imagenet, load_model
from stresnet.model.st_resnet import IMAGENET_RGB_MEAN
from stresnet.model.stream import Depth
from stresnet.training.initialisation import SHIPPED_WEIGHTS
from stresnet.training.loading import stack

BATCH = {"imagenet": 48, "motion": 24}  # videos
LEARNING_RATE = 2e-3  # AdamW, half a cosine down to 0
WEIGHT_DECAY = 0.02
WARM_UP = 50  # iterations
FIRST_MATCHED = 1  # conv3_x: the index of the first stage whose maps are matched
DROPOUT = 0.5  # before the student's classifier
STUDENT: Depth = "tiny"

CARD = "# Two-stream network\n\nDistilled from {teacher} on {data}.\n"

Items = Sequence[tuple[Path, int]]  # prepared videos with their class index

logger = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=1200)
    parser.add_argument("--weights", type=Path, help="default: those that ship with stresnet")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    distil(**vars(options))


def distil(
    data: Path,
    teacher: Path,
    out: Path,
    *,
    iterations: int,
    weights: Path | None = None,
    fold: int | None = None,
    store: Path | None = None,
    workers: int = 1,
    precision: str = "auto",
) -> None:
    """Distil a teacher into the small network, on the training videos of `data`.

    Raises:
        UsageError: the teacher knows other classes, or is a file and `weights` are given.
        DatasetError, WeightsError: as they say.
    """
    split = open_dataset(data, fold=fold)
    store = store or default_store(data)
    videos = ensure_prepared(split.train, store).kept(skip_broken=False)
    items = [(store_path(store, item.name), split.class_names.index(item.label)) for item in videos]
    bf16 = resolve_precision(precision, torch.device("cpu")) == "bf16"
    if not teacher.is_dir():
        if weights is not None:
            raise UsageError(
                f"{teacher} is a file, whose student starts from nothing, but weights were given",
                remedy="leave out --weights, or give a model folder as --teacher",
            )
        distil_imagenet(items, teacher, out, iterations=iterations, workers=workers, bf16=bf16)
        return
    known = load_model(teacher, device="cpu").class_names
    if known != split.class_names:
        raise UsageError(
            f"{teacher} knows {', '.join(known)}; {data} has {', '.join(split.class_names)}",
            remedy="give the data that the teacher was trained on",
        )
    card = CARD.format(teacher=teacher.name, data=data.name)
    distil_motion(items, teacher, out, weights or SHIPPED_WEIGHTS["tiny"], iterations=iterations,
                  card=card, workers=workers, bf16=bf16)  # fmt: skip


def distil_imagenet(
    items: Items,
    teacher_weights: str | Path,
    out: str | Path,
    *,
    iterations: int,
    teacher_depth: Depth = 50,
    input_size: int = 112,
    seed: int = 0,
    workers: int = 1,
    bf16: bool = False,
) -> None:
    """Write a small RGB stream, without classifier, that `load_imagenet` reads.

    Args:
        items: videos for training only; their classes are not used.
        teacher_weights: an ImageNet ResNet of `teacher_depth`.
        out: a .safetensors file with torchvision's names.
        input_size: side of the crops, pixels.

    Raises:
        WeightsError: the teacher's file cannot be used.
    """
    torch.manual_seed(seed)
    teacher, student = _rgb_stream(teacher_depth, input_size), _rgb_stream(STUDENT, input_size)
    load_imagenet(teacher, teacher_weights)
    loaded = batches(items, BATCH["imagenet"], iterations, input_size, seed, workers, "rgb")
    pairs = ((rgb, None) for rgb, _, _ in loaded)
    _learn(student, teacher, pairs, iterations, bf16)
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
    seed: int = 0,
    workers: int = 1,
    bf16: bool = False,
) -> None:
    """Write a small two-stream network whose motion stream is distilled.

    Args:
        items: the videos that the teacher was trained on.
        teacher: folder of a trained two-stream network; the student takes its input size.
        out: the student's folder.
        start: ImageNet weights for both streams of the student.
        card: the text of its README.md.

    Raises:
        UsageError: the teacher is not a two-stream network.
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
        STUDENT,
        input_size=input_size,
        motion_residual=None,
        temporal_convolutions=False,
        appearance_dropout=DROPOUT,
        motion_dropout=DROPOUT,
    )
    load_imagenet(student, start)
    loaded = batches(items, BATCH["motion"], iterations, input_size, seed, workers, "flow")
    pairs = ((flow, truth) for _, flow, truth in loaded)
    _learn(student.motion, trained.motion, pairs, iterations, bf16)
    student.save_pretrained(
        Path(out), class_names=trained.class_names, preparation=trained.preparation, card=card
    )


def _learn(
    student: Stream,
    teacher: Stream,
    pairs: Iterator[tuple[Tensor, Tensor | None]],
    iterations: int,
    bf16: bool,
) -> None:
    """Teach `student` the maps of `teacher` on every input (B,1,C,H,W), and the labels (B,)."""
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
            logger.info(f"distil {step + 1}/{iterations}: unexplained variance {unexplained}")


def batches(
    items: Items,
    batch: int,
    iterations: int,
    input_size: int,
    seed: int,
    workers: int,
    modality: Modality,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
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


if __name__ == "__main__":
    try:
        main()
    except StresnetError as error:
        raise SystemExit(f"error: {error}") from None
