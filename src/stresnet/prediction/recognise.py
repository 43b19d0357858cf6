r"""Videos -> what happens in them: ranked classes of short ones, timelines of long ones.

    inputs --(decode, flow: another process)--> prepared video --(network)--> Prediction
           \--(decode, flow: a thread)--> windows, one after the other --(network)--> Timeline

A video goes the same way as in training and evaluation, JPEGs of the store included, so that a
score here is the score there, bit for bit.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from stresnet.data.prepare.ahead import Prepared, prepared_ahead
from stresnet.data.prepare.one import prepare_frames
from stresnet.data.prepare.preparation import flow_parameters, short_side
from stresnet.data.store.reader import StoredVideo
from stresnet.errors import StoreError, StresnetError, UsageError, VideoError, WeightsError
from stresnet.files import ASSETS
from stresnet.flow import AUTHORS, TVL1Parameters
from stresnet.flow.quantize import SHORT_SIDE
from stresnet.prediction.input_video import Video, as_array, name_of, seconds_of, windows_of
from stresnet.prediction.result import Prediction, Timeline, TimelineSettings
from stresnet.progress import OnProgress, silent
from stresnet.workers import thread_count

if TYPE_CHECKING:  # torch; it is imported while the first video is being prepared
    from stresnet.evaluation.protocols import Protocol
    from stresnet.model import STResNet

Model: TypeAlias = "STResNet | str | Path"
Outcome: TypeAlias = "Prediction | Timeline | VideoError | StoreError"


LONG = 10.0  # seconds; longer videos get a timeline unless asked otherwise
Settings: TypeAlias = "TimelineSettings | Mapping[str, Any] | None"


def recognise_each(
    model: Model,
    inputs: Iterable[Video],
    *,
    timeline: bool | None = None,
    settings: Settings = None,
    top_k: int = 5,
    fps: float = 25.0,
    flow: TVL1Parameters | None = None,
    protocol: Protocol | str = "quick",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    workers: int = 1,
    on_progress: OnProgress = silent,
) -> Generator[tuple[Video, Outcome], None, None]:
    """Recognise many videos in order; the next one is prepared while the network sees one.

    A video that cannot be read comes with its error and does not stop the others. Closing the
    generator ends the work and removes its temporary files.

    Args:
        model: a network, or what `load_model` takes.
        inputs: video files; frames, as an array or tensor (N,H,W,3) uint8 RGB, a tensor (N,3,H,W),
            or a list of arrays or PIL images; or prepared videos.
        timeline: whether a video gets a `Timeline` (True) or a `Prediction` of its whole length
            (False). None decides by its length: a timeline above 10 seconds.
        settings: of timelines; None: as fitted with the model, else the defaults. A mapping changes
            single fields of these.
        top_k: how many classes a `Prediction` names.
        fps: frames per second, if frames are given.
        flow: how the optical flow is computed; None: as in the model's training. `FAST` is faster.
        protocol: what the network sees of a video or a window: a `Protocol`, or its name. `quick`
            is 8 chunks; `paper` is 25 and their mirror images (see docs/prediction.md).
        device, precision: see `stresnet.device`, for network and optical flow. A network that is on
            another device is copied.
        threads: CPU threads for the optical flow; None is one for each core.
        workers: 1 prepares videos in another process, so that a file that crashes the decoder costs
            only itself (from a script, call it under `if __name__ == "__main__":`); 0 prepares
            each video here when it is asked for.
        on_progress: called during timelines with seconds done, seconds in all and the video's name.
            An error that it raises ends the work.

    Raises:
        UsageError: an argument makes no sense.
        WeightsError: the model cannot be used.
        EnvironmentProblem: the disk is full, or there is no such device.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; expected at least 1")
    threads = thread_count(threads)
    made_for, guessed_side = _guess(model)
    guess = (flow or made_for, guessed_side, 8 if protocol == "quick" else 25)
    inputs = list(inputs)
    _require_kinds(model, inputs)
    # The flow's device, before the network is loaded: a network that is given stays where it is.
    flow_on = device
    if device == "auto" and not isinstance(model, str | Path):
        flow_on = str(model.device)
    files = [Path(each) for each in inputs if isinstance(each, str | Path) and not timeline]
    longest = LONG if timeline is None else math.inf

    def prefetched(
        flow: TVL1Parameters, side: int, chunks: int
    ) -> AbstractContextManager[Iterator[Prepared]]:
        return prepared_ahead(
            files,
            parameters=flow,
            short_side=side,
            chunks=chunks,
            threads=threads,
            device=flow_on,
            longest=longest,
            isolated=workers > 0,
        )

    with ExitStack() as stack:
        # Torch, a second of imports, comes while the first video is being prepared.
        prepared = stack.enter_context(prefetched(*guess))
        from stresnet.prediction.recogniser import Recogniser

        recogniser = Recogniser(model, device=device, precision=precision, protocol=protocol)
        made = recogniser.settings(settings)
        flow, side = flow or recogniser.flow, recogniser.short_side
        chunks = recogniser.protocol.chunks
        if files and (flow, side, chunks) != guess:
            stack.close()
            prepared = stack.enter_context(prefetched(flow, side, chunks))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="stresnet-"))

        def prepared_whole(video: Video) -> StoredVideo | None:
            """Return the prepared video; None if it gets a timeline."""
            if isinstance(video, str | Path):
                _, stored = (video, None) if timeline else next(prepared)
                if isinstance(stored, VideoError):
                    raise stored
                return stored
            if timeline or (timeline is None and seconds_of(video, fps) > LONG):
                return None
            if isinstance(video, StoredVideo):
                return video
            return prepare_frames(
                as_array(video),
                Path(scratch, "frames.zip"),
                fps=fps,
                parameters=flow,
                short_side=side,
                threads=threads,
                device=flow_on,
                chunks=chunks,
            )

        def in_time(video: Video) -> Timeline:
            warnings: list[str] = []
            return recogniser.timeline(
                windows_of(video, made, fps, flow, side, threads, flow_on, warnings),
                name_of(video),
                made,
                seconds=0.0 if on_progress is silent else seconds_of(video, fps),
                warnings=warnings,
                on_progress=on_progress,
            )

        for video in inputs:
            outcome: Outcome
            try:
                stored = prepared_whole(video)
                if stored is None:
                    outcome = in_time(video)
                else:
                    outcome = recogniser.ranking(stored, name_of(video), top_k)
            except (VideoError, StoreError) as error:
                outcome = error
            yield video, outcome


def predict(
    model: Model,
    video: Video,
    *,
    top_k: int = 5,
    fps: float = 25.0,
    flow: TVL1Parameters | None = None,
    protocol: Protocol | str = "quick",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Prediction:
    """Recognise the action in one video, over its whole length.

    Args: as in `recognise_each`.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    each = recognise_each(
        model,
        [video],
        timeline=False,
        top_k=top_k,
        fps=fps,
        flow=flow,
        protocol=protocol,
        device=device,
        precision=precision,
        threads=threads,
        workers=0,
    )
    return cast(Prediction, _only(each))


def timeline(
    model: Model,
    video: Video,
    settings: Settings = None,
    *,
    fps: float = 25.0,
    flow: TVL1Parameters | None = None,
    protocol: Protocol | str = "quick",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    on_progress: OnProgress = silent,
) -> Timeline:
    """Recognise what happens when, in memory that does not grow with the video.

    Each window is scored as `predict`, by the same protocol, would score it if it were cut out.

    Args: as in `recognise_each`; `flow` is not computed again for a prepared video.

    Raises:
        VideoError: the file cannot be decoded.
        UsageError: an argument makes no sense.
        WeightsError: the model cannot be used.
    """
    each = recognise_each(
        model,
        [video],
        timeline=True,
        settings=settings,
        fps=fps,
        flow=flow,
        protocol=protocol,
        device=device,
        precision=precision,
        threads=threads,
        workers=0,
        on_progress=on_progress,
    )
    return cast(Timeline, _only(each))


def _require_kinds(model: object, inputs: Iterable[object]) -> None:
    """Raise `UsageError` for what is not a model or not a video, without importing torch."""
    if not (isinstance(model, str | Path) or hasattr(model, "config")):
        raise UsageError(
            f"the model is {type(model).__name__}; expected a network, a folder or a name"
        )
    for video in inputs:
        if isinstance(video, bytes) or not (
            isinstance(video, Path | StoredVideo) or hasattr(video, "__len__")
        ):
            raise UsageError(
                f"a video is {type(video).__name__}; expected a file's path, frames (N,H,W,3) "
                "uint8, or a prepared video"
            )


def _only(pairs: Generator[tuple[Video, Outcome], None, None]) -> Prediction | Timeline:
    ((_, outcome),) = pairs
    if isinstance(outcome, StresnetError):
        raise outcome
    return outcome


def _guess(model: Model) -> tuple[TVL1Parameters, int]:
    """Guess how videos are prepared for a model, before torch is imported to load it.

    The loaded model decides: if the guess was wrong, preparation starts again.
    """
    places = [Path(model), ASSETS / "models" / str(model)] if isinstance(model, str | Path) else []
    for config in (place / "config.json" for place in places):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError, WeightsError):
            made = json.loads(config.read_text(encoding="utf-8"))["preparation"]
            if isinstance(made, dict) and "imported_from" not in made:
                return flow_parameters(made), short_side(made)
    return AUTHORS, SHORT_SIDE
