"""Many videos -> lines of JSON in a folder, by worker processes or a cluster; resumable.

OUT/part-00000.jsonl    a line per video, as `predict --jsonl` prints it; a new part every minute
OUT/settings.json       what was asked for, and of which network: other results are not mixed in
OUT/failures.csv        the videos that could not be recognised
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from stresnet.data.prepare.many import workers_for
from stresnet.device import gpu, resolve_device, resolve_precision
from stresnet.errors import UsageError
from stresnet.evaluation.scoring import kept_model
from stresnet.files import require_writable, write_text
from stresnet.flow import TVL1Parameters
from stresnet.jobs import Done, Engine, JobReport, job_report, saving
from stresnet.prediction.recognise import Settings, recognise_each
from stresnet.progress import OnProgress, silent
from stresnet.worker_process import worker_number
from stresnet.workers import map_in_processes

SETTINGS = "settings.json"
PARTS = "part-*.jsonl"
SAVE_SECONDS = 60.0  # between two parts: what a kill can cost


@dataclass(frozen=True)
class RecogniseOne:
    """Recognise one video in a process that may be elsewhere; arguments as in `recognise_each`."""

    model: str
    timeline: bool | None = None
    settings: Settings = None
    top_k: int = 5
    flow: TVL1Parameters | None = None
    protocol: str = "quick"
    device: str = "auto"
    precision: str = "auto"

    def __call__(self, video: Path) -> Done:
        """Return the video's line of JSON.

        Raises:
            VideoError: the file cannot be decoded.
        """
        import torch  # here, because the process that starts the others needs none of it

        # The other cores have videos of their own; and a sum's last bits are the same everywhere.
        torch.set_num_threads(1)
        card = gpu(self.device, worker=worker_number())
        ((_, found),) = recognise_each(
            kept_model(self.model, "cpu" if card is None else str(card)),
            [video],
            timeline=self.timeline,
            settings=self.settings,
            top_k=self.top_k,
            flow=self.flow,
            protocol=self.protocol,
            precision=self.precision,
            threads=1,
            workers=0,
        )
        if isinstance(found, Exception):
            raise found
        return Done(value=found.as_dict(top_k=self.top_k))


def recognise_many(
    one: RecogniseOne,
    videos: Sequence[Path],
    out: Path,
    *,
    workers: int | None = None,
    engine: Engine = map_in_processes,
    on_progress: OnProgress = silent,
) -> JobReport:
    """Recognise videos into a folder. Safe to interrupt: the same call resumes.

    Args:
        workers: videos at a time, each on one core; None is one for each core, on GPUs at most
            `WORKERS_A_GPU` for each, which take the GPUs in turn.
        engine: what runs the jobs: worker processes here, or a cluster (`stresnet.cluster`).

    Raises:
        UsageError: an argument makes no sense, or `out` holds results with other settings or of
            another network.
        WeightsError: the model cannot be used.
        EnvironmentProblem: the disk is full, `out` cannot be written, or there is no such device.
    """
    network = _checked(one, here=engine is map_in_processes)
    require_writable(out)
    settings = json.dumps(asdict(one) | {"network": network}, indent=1) + "\n"
    parts = sorted(out.glob(PARTS))
    if parts and (not (out / SETTINGS).exists() or (out / SETTINGS).read_text() != settings):
        raise UsageError(
            f"{out}: holds results with other settings, or of another network (see {SETTINGS})",
            remedy="choose another folder",
        )
    write_text(out / SETTINGS, settings)
    lines = (line for part in parts for line in part.read_text().splitlines())
    known = {json.loads(line)["source"] for line in lines}
    numbers = count(int(parts[-1].stem.removeprefix("part-")) + 1 if parts else 0)
    fresh: list[dict[str, Any]] = []

    def save() -> None:
        if fresh:
            lines = "".join(json.dumps(each) + "\n" for each in fresh)
            write_text(out / f"part-{next(numbers):05d}.jsonl", lines)
            fresh.clear()

    def keep(name: str, done: Done) -> None:
        fresh.append(done.value)

    jobs = {str(video): video for video in videos if str(video) not in known}
    workers, _ = workers_for(one.device, workers, len(jobs))
    outcomes = engine(one, jobs, workers=workers, on_progress=on_progress)
    outcomes = saving(outcomes, save, SAVE_SECONDS)
    report = job_report(outcomes, out / "failures.csv", on_done=keep)
    return replace(report, skipped=tuple(sorted({str(video) for video in videos} & known)))


def _checked(one: RecogniseOne, *, here: bool) -> str:
    """Raise the error that every video would fail with; return the SHA-256 of the model's files.

    Args:
        here: whether the videos are recognised on this machine, with its devices.
    """
    from stresnet.model.lookup import find_model
    from stresnet.model.model_folder import CONFIG, WEIGHTS
    from stresnet.prediction.recogniser import Recogniser

    folder = find_model(one.model)
    Recogniser(folder, device="cpu", protocol=one.protocol).settings(one.settings)
    if here:
        resolve_precision(one.precision, resolve_device(one.device))
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
