"""How a video is looked at when it is tested: how many chunks, which parts of the frames, mirrored.

    paper           25 chunks, whole frames, and their mirror images (sections 3.4 and 4.1)
    released-code   the same as the authors' program does it
    ten-crop        25 chunks, four corners and the centre, and their mirror images: the two-stream
                    network of Simonyan and Zisserman (NIPS 2014, section 3.3)
    centre-crop     25 chunks, the centre only
    quick           8 chunks, whole frames, no mirror images: a sixth of the network's work

The network is fully convolutional in space and time under all of them: all chunks go through it in
one pass. Videos too short for different chunks repeat some, and those shorter than a chunk are
padded symmetrically (`stresnet.data.loading.sampling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from stresnet.data.loading.augmentation import apply, whole_frame
from stresnet.data.loading.chunks import Chunks, FramesAndFlow, testing_chunks
from stresnet.errors import UsageError

TEST_CHUNKS = 25
Crops = Literal["whole", "five", "centre"]


@dataclass(frozen=True)
class Protocol:
    """One way to test.

    Attributes:
        name: as the command line and the report call it.
        chunks: spread evenly over the video.
        crops: the whole frame (its short side 256/224 of the network's input), or squares of the
            network's input cut from it: four corners and the centre, or the centre.
        mirrored: every view is seen in a mirror too.
        as_released: differ from the paper as the authors' program does, see `views`.
    """

    name: str
    chunks: int = TEST_CHUNKS
    crops: Crops = "whole"
    mirrored: bool = True
    as_released: bool = False


PAPER = Protocol("paper")
RELEASED_CODE = Protocol("released-code", as_released=True)
TEN_CROP = Protocol("ten-crop", crops="five")
CENTRE_CROP = Protocol("centre-crop", crops="centre", mirrored=False)
QUICK = Protocol("quick", chunks=8, mirrored=False)

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol for protocol in (PAPER, RELEASED_CODE, TEN_CROP, CENTRE_CROP, QUICK)
}


def protocol_of(given: Protocol | str) -> Protocol:
    """A protocol, given by its name or itself.

    Raises:
        UsageError: there is none of that name.
    """
    if isinstance(given, Protocol):
        return given
    if given not in PROTOCOLS:
        raise UsageError(
            f"unknown protocol {given!r}", remedy=f"choose from {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[given]


def views(
    video: FramesAndFlow, protocol: Protocol, *, size: int, device: torch.device | str = "cpu"
) -> Iterator[Chunks]:
    """What the network sees of a video, one pass after the other: rgb (T,3,H,W), flow (T,2L,H,W).

    The released code squeezes each side of a frame into 224 ... 448 px, whatever that does to the
    aspect, and mirrors horizontal flow to 255 - u, so that no motion becomes 127, 0.157 px per
    frame to one side (cnn_get_im_flow_batch.m, lines 189-192 and 342-345).

    Args:
        size: side of the network's input, px.
        device: where the views are; crops and mirror images are made there.

    Raises:
        UsageError: an argument makes no sense.
        StoreError: the video is damaged.
    """
    seen = testing_chunks(video, chunks=protocol.chunks, size=size)
    if protocol.as_released:
        seen = _squeezed(seen, size)
    seen = Chunks(seen.rgb.to(device), seen.flow.to(device))
    for top, left, height, width in _windows(seen, protocol.crops, size):
        rows, columns = slice(top, top + height), slice(left, left + width)
        view = Chunks(seen.rgb[..., rows, columns], seen.flow[..., rows, columns])
        yield view
        if protocol.mirrored:
            yield _mirrored_as_released(view) if protocol.as_released else view.mirrored()


def _windows(seen: Chunks, crops: Crops, size: int) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of each view, px."""
    height, width = seen.rgb.shape[-2:]
    if crops == "whole":
        return [(0, 0, height, width)]
    down, right = height - size, width - size
    centre = (down // 2, right // 2)
    corners = [(0, 0), (0, right), (down, 0), (down, right)] if crops == "five" else []
    return [(top, left, size, size) for top, left in [*corners, centre]]


def _squeezed(seen: Chunks, size: int) -> Chunks:
    """Bring each side into `size` ... 2 `size` px, on its own."""
    chunks, _, height, width = seen.rgb.shape
    target = (min(max(height, size), 2 * size), min(max(width, size), 2 * size))
    rgb = seen.rgb.permute(0, 2, 3, 1).numpy()
    flow = seen.flow.reshape(chunks, -1, 2, height, width).numpy()
    return Chunks(*apply(rgb, flow, whole_frame(height, width), target))


def _mirrored_as_released(view: Chunks) -> Chunks:
    flow = view.flow.flip(-1)
    flow[:, 0::2] = 255 - flow[:, 0::2]
    return Chunks(view.rgb.flip(-1), flow)
