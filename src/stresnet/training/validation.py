"""How well each phase's network does on the kept-out videos, once the phase is over.

validation.csv has a row a phase, the accuracy of what the phase trained, and curves.svg a dot. It
is a record and chooses nothing. The numbers are those of `stresnet evaluate`, by one function.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from stresnet.evaluation.evaluate import score_videos
from stresnet.evaluation.prepared_videos import PreparedVideos
from stresnet.evaluation.result import ROWS, Report
from stresnet.files import whole_file
from stresnet.model import load_model
from stresnet.training.learning_curves import VALIDATION, draw_curves, read_validation
from stresnet.training.recipes import PHASES, Phase

COLUMNS = ("phase", "videos", *(f"{row}_accuracy" for row in ROWS))


def validate_phase(
    run: Path,
    phase: Phase,
    network: Path,
    videos: PreparedVideos,
    *,
    device: str,
    say: Callable[[str], None],
) -> Report:
    """Score the kept-out videos with the network that a phase has left.

    Args:
        run: the run's folder; validation/PHASE.npz in it keeps the scores of finished videos.
        network: the phase's model folder.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        DatasetError: not one video could be scored.
        EnvironmentProblem: the disk is full.
    """
    kept = run / "validation" / f"{phase.name}.npz"
    report = score_videos(load_model(network, device=device), videos, kept=kept, say=say)
    # Of a phase of one stream the other is untrained, or another phase's.
    accuracies = {row: report.accuracy(row) for row in ([phase.stream] if phase.stream else ROWS)}
    _write_row(run, phase.name, len(report.names), accuracies)
    shown = ", ".join(f"{row} {100 * accuracy:.1f} %" for row, accuracy in accuracies.items())
    say(f"{phase.name}: {shown} of {len(report.names)} kept-out videos right")
    return report


def _write_row(run: Path, phase: str, videos: int, accuracies: dict[str, float]) -> None:
    rows = {row["phase"]: row for row in read_validation(run / VALIDATION)}
    named = {f"{row}_accuracy": f"{accuracy:.6g}" for row, accuracy in accuracies.items()}
    rows[phase] = {"phase": phase, "videos": str(videos), **named}
    with (
        whole_file(run / VALIDATION) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows[name] for name in PHASES if name in rows)
    draw_curves(run / "log.csv", run / "curves.svg")
