"""Pictures and short films of prepared videos, as data URIs: they stay with the page.

Browsers do not play the AVI files of UCF101 and HMDB51, and a link breaks when a folder is moved.
So the page carries the few videos it shows, made of the stored frames: what the network has seen.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.store.reader import StoredVideo
from stresnet.data.video.encode import video_writer
from stresnet.errors import EnvironmentProblem
from stresnet.flow import to_pixels
from stresnet.flow.colour import to_colour

COLOUR_PX = 4.0  # px per frame at which a flow picture's colour is full
SMALLEST_SIDE = 112  # px, at least, of a picture on the page
STRIP = 3  # pictures in a strip
FILM_FRAMES = 125  # of a film at most: five seconds at 25 frames a second
FILM_BYTES = 600_000  # what is larger stays a strip


@dataclass(frozen=True)
class Strip:
    """Frames spread over a video, and the flow from each to the next, as data URIs."""

    frames: tuple[str, ...]
    flows: tuple[str, ...]


def strip(video: StoredVideo, count: int = STRIP) -> Strip:
    """A few pictures of a video.

    Raises:
        StoreError: the video is damaged.
    """
    centres = testing_centres(video.num_frames, count)
    return Strip(
        tuple(map(_jpeg, video.frames(centres))), tuple(map(_jpeg, _colours(video, centres)))
    )


def film(video: StoredVideo) -> str | None:
    """The first seconds of a video beside its flow, as an mp4; None if it would be too large.

    Raises:
        StoreError: the video is damaged.
    """
    indices = np.arange(min(video.num_frames, FILM_FRAMES))
    frames = _small(np.concatenate([video.frames(indices), _colours(video, indices)], axis=2))
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        path = Path(scratch) / "film.mp4"
        try:
            with video_writer(path, fps=video.fps or 25.0) as writer:
                for image, time in zip(frames, video.times, strict=False):
                    writer.add(image, float(time))
        except EnvironmentProblem:  # no encoder: the page can do without films
            return None
        mp4 = path.read_bytes()
    return _data_uri("video/mp4", mp4) if len(mp4) <= FILM_BYTES else None


def _colours(video: StoredVideo, indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """(n,) frames -> (n,H,W,3) the flow to the next frame; the last frame's is the one before."""
    fields = np.minimum(indices, max(video.num_frames - 2, 0))
    return to_colour(to_pixels(video.flow(fields)), COLOUR_PX)


def _small(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every second pixel or fewer, as long as the picture stays large enough; even sides."""
    height, width = pictures.shape[-3:-1]
    step = max(min(height, width) // SMALLEST_SIDE, 1)
    rows, columns = height // step // 2 * 2, width // step // 2 * 2
    return pictures[..., : rows * step : step, : columns * step : step, :]


def _jpeg(picture: NDArray[np.uint8]) -> str:
    return _data_uri("image/jpeg", encode_rgb(np.ascontiguousarray(_small(picture))))


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")
