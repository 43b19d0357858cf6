"""ST-ResNet's training step as one writes it first; what benchmarks/training.py compares to.

Eager PyTorch in float32, maps plane by plane, `nn.BatchNorm2d` with a pass of its own for each
normalisation group, `nn.Conv3d` along time, and every frame and flow field a JPEG file of its own,
read and resized by Pillow. Loss and gradients are ours: tests/test_benchmarks_training.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from stresnet.data.loading.augmentation import Crop, scale_jitter_crop
from stresnet.data.loading.dataset import SampleKey
from stresnet.data.loading.sampling import flow_indices, reflect, training_centres
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model.st_resnet import IMAGENET_RGB_MEAN

FLOW_MEAN = 128.0


class PlainUnit(nn.Module):
    """Eq. 1, before the last ReLU; Eq. 5 where `temporal`."""

    def __init__(self, in_channels: int, width: int, stride: int, temporal: bool) -> None:
        super().__init__()
        self.temporal = temporal
        self.conv1: nn.Module
        self.conv3: nn.Module
        if temporal:
            self.conv1 = nn.Conv3d(in_channels, width, (3, 1, 1), padding=(1, 0, 0), bias=False)
            self.conv3 = nn.Conv3d(width, 4 * width, (3, 1, 1), padding=(1, 0, 0), bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
            self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.project = None
        if stride != 1 or in_channels != 4 * width:
            self.project = nn.Conv2d(in_channels, 4 * width, 1, stride=stride, bias=False)
            self.project_bn = nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor, branch: Tensor, chunks: int) -> Tensor:
        """x, what the shortcut takes, and `branch`: (B*T, in, H, W) -> (B*T, out, H', W')."""
        shortcut = x if self.project is None else self.project_bn(self.project(x))
        branch = F.relu(self.bn1(self._pointwise(self.conv1, branch, chunks)))
        branch = F.relu(self.bn2(self.conv2(branch)))
        total: Tensor = shortcut + self.bn3(self._pointwise(self.conv3, branch, chunks))
        return total

    def _pointwise(self, conv: nn.Module, x: Tensor, chunks: int) -> Tensor:
        if self.temporal:
            x = x.reshape(-1, chunks, *x.shape[1:]).transpose(1, 2)  # (B, C, T, H, W)
        x = conv(x)
        return x.transpose(1, 2).flatten(0, 1) if self.temporal else x


class PlainStream(nn.Module):
    """A ResNet, but for its forward pass."""

    conv2_x: nn.ModuleList
    conv3_x: nn.ModuleList
    conv4_x: nn.ModuleList
    conv5_x: nn.ModuleList

    def __init__(
        self, in_channels: int, num_classes: int, units: Sequence[int], width: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        in_channels = width
        for number, count in enumerate(units):
            stage = nn.ModuleList()
            for unit in range(count):
                stride = 2 if unit == 0 and number > 0 else 1
                stage.append(PlainUnit(in_channels, width * 2**number, stride, unit == 1))
                in_channels = 4 * width * 2**number
            setattr(self, f"conv{number + 2}_x", stage)
        self.classifier = nn.Linear(in_channels, num_classes)

    @property
    def stages(self) -> list[nn.ModuleList]:
        return [self.conv2_x, self.conv3_x, self.conv4_x, self.conv5_x]

    def stem(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x.flatten(0, 1))))
        return F.max_pool2d(x, 3, stride=2, ceil_mode=True)

    def head(self, x: Tensor, chunks: int) -> Tensor:
        logits: Tensor = self.classifier(F.relu(x).mean((2, 3)))
        return logits.view(-1, chunks, logits.shape[1])


class PlainSTResNet(nn.Module):
    """Both streams, the motion residual of Eq. 2 before the second unit of each stage.

    Args:
        units: in conv2_x .. conv5_x.
        width: channels of conv1.
    """

    def __init__(
        self, num_classes: int, units: Sequence[int] = (3, 4, 6, 3), width: int = 64
    ) -> None:
        super().__init__()
        self.appearance = PlainStream(3, num_classes, units, width)
        self.motion = PlainStream(2 * FLOW_FIELDS, num_classes, units, width)

    def forward(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """rgb (B,T,3,H,W) and flow (B,T,2L,H,W), means taken off -> logits (B,T,K) each."""
        chunks = rgb.shape[1]
        x_a, x_m = self.appearance.stem(rgb), self.motion.stem(flow)
        for stage_a, stage_m in zip(self.appearance.stages, self.motion.stages, strict=True):
            for number, (unit_a, unit_m) in enumerate(zip(stage_a, stage_m, strict=True)):
                f_a, f_m = F.relu(x_a), F.relu(x_m)
                x_a = unit_a(f_a, x_a + f_m if number == 1 else f_a, chunks)
                x_m = unit_m(f_m, f_m, chunks)
        return self.appearance.head(x_a, chunks), self.motion.head(x_m, chunks)

    def take_weights(self, ours: nn.Module) -> None:
        """Those of an `STResNet` of the same shape."""
        given = ours.state_dict()
        self.load_state_dict(
            {
                name: given[name].view_as(tensor) if name in given else tensor
                for name, tensor in self.state_dict().items()  # BatchNorm2d's also count batches
            }
        )


Batch = tuple[Tensor, Tensor, Tensor]  # rgb (b,T,3,H,W), flow (b,T,2L,H,W), labels (b,)


def plain_step(net: nn.Module, optimizer: torch.optim.Optimizer, groups: Iterable[Batch],
               batch: int) -> float:  # fmt: skip
    """One SGD step over `batch` videos; their mean loss (over chunks and streams summed)."""
    optimizer.zero_grad()
    total = 0.0
    for rgb, flow, labels in groups:
        every_chunk = labels.repeat_interleave(rgb.shape[1])
        losses = [F.cross_entropy(logits.flatten(0, 1), every_chunk, reduction="sum")
                  for logits in net(rgb, flow)]  # fmt: skip
        loss = torch.stack(losses).sum() / batch
        torch.autograd.backward(loss)
        total += loss.item()
    optimizer.step()
    return total


class LooseJpegs(Dataset[tuple[Tensor, Tensor, int]]):
    """A training sample from the authors' layout, one file a frame and two a flow field.

    The draws are those of our `ChunkDataset`.

    Args:
        folder: holds jpegs_256/CLIP/frame000001.jpg, tvl1_flow/u/CLIP/frame000001.jpg, .../v/...
        clips: their names and labels.
    """

    def __init__(
        self, folder: Path, clips: Sequence[tuple[str, int]], chunks: int, tau: tuple[int, int],
        size: int, seed: int = 0,
    ) -> None:  # fmt: skip
        self.folder, self.clips = folder, clips
        self.chunks, self.tau, self.size, self.seed = chunks, tau, size, seed

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, Tensor, int]:
        clip, label = self.clips[key.item]
        frames = self.folder / "jpegs_256" / clip
        count = len(list(frames.iterdir()))
        with Image.open(frames / "frame000001.jpg") as first:
            width, height = first.size
        rng = np.random.default_rng([self.seed, key.step, key.slot])
        centres = training_centres(count, self.chunks, self.tau, rng)
        crop = scale_jitter_crop(height, width, rng)
        fields = reflect(flow_indices(centres), count - 1)  # (T,L)

        rgb = [self._picture(frames / f"frame{t + 1:06d}.jpg", crop) for t in centres]
        flow = []
        for field in fields.flat:
            for axis in ("u", "v"):
                path = self.folder / "tvl1_flow" / axis / clip / f"frame{field + 1:06d}.jpg"
                picture = self._picture(path, crop)
                flow.append(255 - picture if crop.flip and axis == "u" else picture)
        rgb_means = torch.tensor(IMAGENET_RGB_MEAN)[:, None, None]
        side = (self.size, self.size)
        return (
            torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2).float() - rgb_means,
            torch.from_numpy(np.stack(flow)).view(self.chunks, -1, *side).float() - FLOW_MEAN,
            label,
        )

    def _picture(self, path: Path, crop: Crop) -> np.ndarray:
        """(H,W,3) or (H,W) uint8, cut out, resized and mirrored as `crop` says."""
        with Image.open(path) as picture:
            box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
            cut = picture.crop(box).resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(cut)
        return pixels[:, ::-1] if crop.flip else pixels
