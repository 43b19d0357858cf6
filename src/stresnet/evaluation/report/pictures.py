"""Pictures of prepared videos as data URIs: they stay inside the page.

Browsers do not play the AVI files of UCF101 and HMDB51, and a link breaks when a folder is moved.
So a page carries the few pictures that it shows, made from the stored frames: what the network saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.chunks import FramesAndFlow
from stresnet.data.loading.sampling import testing_centres
from stresnet.data.store.jpeg import encode_rgb
from stresnet.flow import to_pixels
from stresnet.flow.colour import to_colour
from stresnet.pages import data_uri

COLOUR_PX = 4.0  # pixels per frame at which a flow picture's colour is full
SMALLEST_SIDE = 112  # pixels, at least, of a picture on a page


@dataclass(frozen=True)
class Strip:
    """Frames spread over a video, and the flow from each to the next, as data URIs."""

    frames: tuple[str, ...]
    flows: tuple[str, ...]


def strip(video: FramesAndFlow, count: int = 3) -> Strip:
    """Draw `count` moments of a video, spread evenly.

    Raises:
        StoreError: the video is damaged.
    """
    centres = testing_centres(video.num_frames, count)
    return Strip(
        frames=tuple(map(_picture_uri, video.frames(centres))),
        flows=tuple(map(_picture_uri, flow_pictures(video, centres))),
    )


def flow_pictures(video: FramesAndFlow, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n,H,W,3) the flow from each frame to the next; the last frame repeats the flow before it."""
    fields = np.minimum(indices, max(video.num_frames - 2, 0))
    return to_colour(to_pixels(video.flow(fields)), COLOUR_PX)


def _picture_uri(picture: NDArray[np.uint8]) -> str:
    """Keep every n-th pixel, n as large as keeps the picture large enough."""
    step = max(min(picture.shape[:2]) // SMALLEST_SIDE, 1)
    return data_uri(encode_rgb(np.ascontiguousarray(picture[::step, ::step])), "image/jpeg")
