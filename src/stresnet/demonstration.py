"""`stresnet demo`: the whole way on the real clips that ship with the package, and a page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from stresnet.data.prepare.many import prepare_video
from stresnet.evaluation.report.pictures import Strip, strip
from stresnet.files import atomic_write
from stresnet.model import load_model
from stresnet.pages import render_page
from stresnet.prediction import ClassScore, Prediction, predict_stored

PICTURES = 5  # moments of each clip on the page


@dataclass(frozen=True)
class DemoClip:
    """One recognised clip: its true label, what the network says, and pictures."""

    name: str
    truth: str
    prediction: Prediction
    strip: Strip

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
                strip=strip(stored, PICTURES),
            )
            clips.append(clip)
            on_clip(clip)
        card = net.card
    write_page(out / "index.html", clips, card)
    return clips


def write_page(path: Path, clips: list[DemoClip], card: str) -> None:
    """Write one HTML file that needs nothing else: styles and pictures are inside."""
    page = render_page("demo", clips=clips, card=card, correct=sum(clip.correct for clip in clips))
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")
