"""Section 3: the Spatiotemporal Residual Network, on one page.

    rgb  ─ conv1 ─ pool1 ─ conv2_x ─ conv3_x ─ conv4_x ─ conv5_x ─ pool5 ─ classifier
                             ↑ b        ↑ b       ↑ b       ↑ b
    flow ─ conv1 ─ pool1 ─ conv2_x ─ conv3_x ─ conv4_x ─ conv5_x ─ pool5 ─ classifier

Motion enters appearance before unit b, the second of each stage (Eq. 2), and the 1x1 convolutions
of unit b, in both streams, look along time (Eq. 5). ST-ResNet* also pools over time at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stresnet.errors import UsageError
from stresnet.flow.quantize import FLOW_FIELDS
from stresnet.model.motion_residual import (
    CONNECTIONS,
    MotionConnection,
    MotionResidual,
    ResidualScale,
)
from stresnet.model.pretrained import Pretrained
from stresnet.model.residual_unit import StrideIn
from stresnet.model.stream import (
    SECOND,
    Depth,
    Stream,
    TemporalPool,
    TemporalPoolKind,
    expect_one_of,
)

IMAGENET_RGB_MEAN = (123.68, 116.779, 103.939)


class STResNet(Pretrained):
    """Two streams, the motion stream feeding the appearance stream.

    Args:
        num_classes: K.
        depth: 26, 50 (the paper), 101, 152, "small" (ResNet-50 up to the third unit of conv4_x), or
            "tiny" (26 layers, 24 channels wide instead of 64).
        temporal_pool: None for ST-ResNet; "pool5" (the paper's text) or "conv5" (its figure 3 and
            the authors' code) for ST-ResNet*.
        temporal_pool_kind: "max" (the paper) or "average".
        stride_in: "1x1" (He et al., the paper) or "3x3" (torchvision's ResNet).
        motion_residual: what motion adds to appearance, and where (see motion_residual.py); None
            with temporal_convolutions=False is the two-stream network without any connection.
        residual_scale: "none", or motion residuals with learnt factors that start at 0: one for
            each "stage", or one for each "channel" (see `MotionConnection`).
        temporal_convolutions: Eq. 5.
        input_size: pixels a side of a training crop; larger frames are seen fully convolutionally.
        rgb_mean, flow_mean: means of R, G, B and of the flow's bytes, in 0..255; the network itself
            subtracts them.
        appearance_dropout, motion_dropout: rates before each classifier.

    Attributes:
        config: the arguments above; `STResNet(**net.config)` builds the same network.
        class_names: K names; empty until set, or loaded from a model folder.
        preparation: how its videos were prepared, if it comes from a model folder.
        timeline: how scores become segments of a long video (the fields of `TimelineSettings`), if
            that was fitted.
        card: the model card, if it comes from a model folder.

    Raises:
        UsageError: an argument is not one of the above.
    """

    def __init__(
        self,
        num_classes: int,
        depth: Depth = 50,
        *,
        temporal_pool: TemporalPool = None,
        temporal_pool_kind: TemporalPoolKind = "max",
        stride_in: StrideIn = "1x1",
        motion_residual: MotionResidual = "appearance",
        residual_scale: ResidualScale = "none",
        temporal_convolutions: bool = True,
        input_size: int = 224,
        rgb_mean: Sequence[float] = IMAGENET_RGB_MEAN,
        flow_mean: float = 128.0,
        appearance_dropout: float = 0.0,
        motion_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        expect_one_of("motion_residual", motion_residual, CONNECTIONS)
        expect_one_of("residual_scale", residual_scale, get_args(ResidualScale))
        shared: dict[str, Any] = {
            "num_classes": num_classes,
            "depth": depth,
            "temporal_pool": temporal_pool,
            "temporal_pool_kind": temporal_pool_kind,
            "stride_in": stride_in,
            "temporal_convolutions": temporal_convolutions,
            "input_size": input_size,
        }
        self.config = shared | {
            "motion_residual": motion_residual,
            "residual_scale": residual_scale,
            "rgb_mean": list(map(float, rgb_mean)),
            "flow_mean": flow_mean,
            "appearance_dropout": appearance_dropout,
            "motion_dropout": motion_dropout,
        }
        self.appearance = Stream(3, mean=rgb_mean, dropout=appearance_dropout, **shared)
        self.motion = Stream(2 * FLOW_FIELDS, mean=flow_mean, dropout=motion_dropout, **shared)
        self.connections = nn.ModuleList(
            MotionConnection(motion_residual, residual_scale, unit.out_channels)
            for unit in self.appearance.units(SECOND)
        )

    def forward(self, rgb: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each stream for each chunk; their sum over both is the paper's score.

        Args:
            rgb: (B, T, 3, H, W), bytes or floats in 0..255.
            flow: (B, T, 2L, H, W), x and y interleaved, quantised to 0..255 (128 is no motion).

        Returns:
            appearance and motion logits, (B, T', K) each; T' = T, in ST-ResNet* (T - 5) // 2 + 1.

        Raises:
            UsageError: other shapes, frames that are too small, or too few chunks for the
                temporal pool.
        """
        check_pair(rgb, flow)
        f = F.relu
        # x_a and x_m, (B*T, C, h, w), are always sums before f.
        x_a, x_m, T = self.appearance.stem(rgb), self.motion.stem(flow), rgb.shape[1]
        stages = zip(self.appearance.stages, self.motion.stages, self.connections, strict=True)
        for stage_a, stage_m, connect in stages:
            x_a, x_m = stage_a[0](f(x_a), T), stage_m[0](f(x_m), T)

            into_a, into_m = connect(x_a, x_m)  # Eq. 2: motion enters here
            x_a = stage_a[SECOND](into_a.shortcut, T, into_a.branch)
            x_m = stage_m[SECOND](into_m.shortcut, T, into_m.branch)

            for unit_a, unit_m in zip(stage_a[2:], stage_m[2:], strict=True):
                x_a, x_m = unit_a(f(x_a), T), unit_m(f(x_m), T)

        return self.appearance.head(x_a, T), self.motion.head(x_m, T)

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where inputs belong."""
        return self.appearance.classifier.weight.device

    def require_class_names(self) -> tuple[str, ...]:
        """Return the K class names.

        Raises:
            UsageError: the network has none, or not K: what it recognises cannot be named.
        """
        if len(self.class_names) != self.config["num_classes"]:
            raise UsageError(
                f"the network has {len(self.class_names) or 'no'} class names, expected "
                f"{self.config['num_classes']}",
                remedy="set net.class_names, in the order of the logits",
            )
        return tuple(self.class_names)


def check_pair(rgb: Tensor, flow: Tensor) -> None:
    """Raise `UsageError` unless both have the same chunks; each stream checks its own input."""
    if (rgb.shape[:2], rgb.shape[3:]) != (flow.shape[:2], flow.shape[3:]):
        raise UsageError(
            f"rgb of shape {tuple(rgb.shape)} and flow of shape {tuple(flow.shape)}, "
            "expected the same videos, chunks, height and width",
            remedy="cut both from the same chunks with the same crop",
        )
