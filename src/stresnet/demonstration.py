"""`stresnet demo`: the whole way on the real clips that ship with the package, and a page."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from stresnet.data.loading.sampling import testing_centres
from stresnet.data.prepare.many import prepare_video
from stresnet.data.store.jpeg import encode_rgb
from stresnet.data.store.reader import StoredVideo
from stresnet.files import atomic_write
from stresnet.flow import to_pixels
from stresnet.flow.colour import to_colour
from stresnet.model import load_model
from stresnet.prediction import ClassScore, Prediction, predict_stored

PICTURES = 5  # frames and flow pictures a clip on the page
COLOUR_PX = 4.0  # px per frame at which a flow picture's colour is full


@dataclass(frozen=True)
class DemoClip:
    """One recognised clip: its true label, what the network says, and pictures as data URIs."""

    name: str
    truth: str
    prediction: Prediction
    frames: tuple[str, ...]
    flows: tuple[str, ...]

    @property
    def correct(self) -> bool:
        return self.prediction.label == self.truth

    @property
    def of_truth(self) -> ClassScore:
        """The scores of the true class."""
        return next(entry for entry in self.prediction.predictions if entry.label == self.truth)


def demo(out: Path, *, threads: int = 1, on_clip: Callable[[DemoClip], None]) -> list[DemoClip]:
    """Recognise every shipped clip with the shipped model, and write `out/index.html`.

    Args:
        out: folder for the page.
        threads: CPU threads for the optical flow.
        on_clip: called with each clip when it is recognised.
    """
    clips: list[DemoClip] = []
    with as_file(files("stresnet") / "assets") as assets, tempfile.TemporaryDirectory() as scratch:
        net = load_model("fight")
        for video in sorted(assets.glob("clips/*/*.mp4")):
            stored = prepare_video(video, Path(scratch) / f"{video.stem}.zip", threads=threads)
            clip = DemoClip(
                name=video.name,
                truth=video.parent.name,
                prediction=predict_stored(net, stored, video.name, top_k=len(net.class_names)),
                **_pictures(stored),
            )
            clips.append(clip)
            on_clip(clip)
        card = net.card
    write_page(out / "index.html", clips, card)
    return clips


def write_page(path: Path, clips: list[DemoClip], card: str) -> None:
    """One HTML file that needs nothing else: styles and pictures are inside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stresnet", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("demo.html.j2").render(
        clips=clips, card=card, correct=sum(clip.correct for clip in clips)
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _pictures(stored: StoredVideo) -> dict[str, tuple[str, ...]]:
    """Frames, and the flow from each to the next, spread over the clip."""
    centres = testing_centres(stored.num_frames, PICTURES)
    fields = np.minimum(centres, max(stored.num_frames - 2, 0))
    flow = to_pixels(stored.flow(fields))  # (n,2,H,W), pixels per frame
    return {
        "frames": tuple(map(_data_uri, stored.frames(centres))),
        "flows": tuple(map(_data_uri, to_colour(flow, COLOUR_PX))),
    }


def _data_uri(picture: NDArray[np.uint8]) -> str:
    """(H,W,3) uint8 -> an inline JPEG of half the size."""
    jpeg = encode_rgb(np.ascontiguousarray(picture[::2, ::2]))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
