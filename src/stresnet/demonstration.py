"""`stresnet demo`: recognise the real clips that ship with the package, and write a page."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from stresnet.data.prepare.one import prepare_video
from stresnet.data.prepare.preparation import prepared_like
from stresnet.evaluation.report.pictures import Strip, strip
from stresnet.files import ASSETS, require_writable, write_text
from stresnet.pages import render_page
from stresnet.prediction.recogniser import Recogniser
from stresnet.prediction.result import ClassScore, Prediction
from stresnet.progress import OnProgress, Progress, silent
from stresnet.workers import thread_count

PICTURES = 5  # moments of each clip on the page


@dataclass(frozen=True)
class DemoClip:
    """One recognised clip: its true label, the prediction, and pictures."""

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


def demo(
    out: str | Path = "demo",
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    on_progress: OnProgress = silent,
) -> list[DemoClip]:
    """Recognise every shipped clip with the shipped model, and write `out/index.html`.

    Args:
        out: folder for the page.
        device, precision: see `stresnet.device`.
        threads: CPU threads for the optical flow; None is one for each core.
        on_progress: called with clips done, clips in all and the clip's name.
    """
    require_writable(Path(out))
    clips: list[DemoClip] = []
    videos = sorted(ASSETS.glob("clips/*/*.mp4"))
    recogniser = Recogniser("fight", device=device, precision=precision)
    with tempfile.TemporaryDirectory() as scratch:
        for video in videos:
            stored = prepare_video(
                video,
                Path(scratch, f"{video.stem}.zip"),
                **prepared_like(recogniser.net.preparation),
                threads=thread_count(threads),
                device=recogniser.device,
            )
            prediction = recogniser.ranking(stored, video.name)
            clips.append(
                DemoClip(video.name, video.parent.name, prediction, strip(stored, PICTURES))
            )
            on_progress(Progress(len(clips), len(videos), video.name))
    write_page(Path(out) / "index.html", clips, recogniser.net.card)
    return clips


def write_page(path: Path, clips: list[DemoClip], card: str) -> None:
    """Write one HTML file that needs nothing else: styles and pictures are inside."""
    correct = sum(clip.correct for clip in clips)
    page = render_page("demo.html", clips=clips, card=card, correct=correct)
    write_text(path, page)
