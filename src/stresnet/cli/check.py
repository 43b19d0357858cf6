"""`stresnet check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stresnet.cli.app import say, say_failures
from stresnet.cli.options import Workers
from stresnet.cli.prepare import say_warnings
from stresnet.cli.progress import progress

if TYPE_CHECKING:
    from stresnet.data.store.flow_check import CheckReport


def check(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="A prepared video, or a folder of them.")
    ],
    workers: Workers = None,
) -> None:
    """Check prepared videos: every bit, and whether the flow fits the frames."""
    from stresnet.data.store.flow_check import check_stores, find_stores

    with progress("check") as on_progress:
        report = check_stores(find_stores(store), workers=workers, on_progress=on_progress)
    say_warnings(report.warnings)
    say_failures(report.failures, "no list; check parts of the store")
    say_findings(report)
    if report.all_well:
        lost = len({name for name, _ in report.warnings})
        cut = f"; {lost} of damaged or truncated videos" if lost else ""
        say(f"{report.videos} prepared videos: all intact, and nothing odd about their flow{cut}")
    raise typer.Exit(0 if report.all_well else 1)


def say_findings(report: CheckReport) -> None:
    """What seems to be wrong with the flow, and with how many videos."""
    for sentence, names in report.by_finding.items():
        more = ", ..." if len(names) > 3 else ""
        say(f"{len(names)} of {report.videos} videos ({', '.join(names[:3])}{more}): {sentence}")
    if report.together:
        say(f"all {report.videos} videos together: {report.together}")
