"""The training videos of a data set, prepared; which of them cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stresnet.data.prepare.many import prepare
from stresnet.data.splits.open import VideoItem
from stresnet.errors import DatasetError

SHOWN = 20  # broken videos in a message


def prepared(items: Sequence[VideoItem], store: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Prepare the videos that are not prepared yet; return the failures, name -> reason."""

    def on_progress(finished: int, total: int, name: str) -> None:
        if finished * 20 // total > (finished - 1) * 20 // total:  # a line every twentieth
            say(f"prepare: {finished} of {total} videos")

    videos = [(item.path, item.name) for item in items]
    report = prepare(videos, store, on_progress=on_progress)
    if report.done:
        say(f"prepared {len(report.done)} videos into {store}")
    return dict(report.failures)


def usable(
    items: Sequence[VideoItem],
    failures: dict[str, str],
    say: Callable[[str], None],
    *,
    skip_broken: bool,
) -> list[VideoItem]:
    """The videos that could be prepared: all of them, or those that are left.

    Raises:
        DatasetError: some could not and `skip_broken` is False, or a class has none left.
    """
    broken = [f"{name}: {reason}" for name, reason in failures.items()]
    shown = "\n  - ".join(broken[:SHOWN])
    if len(broken) > SHOWN:
        shown += f"\n  - and {len(broken) - SHOWN} more; failures.csv in the store has all"
    if broken and not skip_broken:
        raise DatasetError(
            f"{len(broken)} of {len(items)} videos cannot be used:\n  - {shown}",
            remedy="mend or remove them, or go on without them: --skip-broken",
        )
    if broken:
        say(f"left out {len(broken)} of {len(items)} videos:\n  - {shown}")
    kept = [item for item in items if item.name not in failures]
    if emptied := {item.label for item in items} - {item.label for item in kept}:
        raise DatasetError(
            f"no usable training video is left in {', '.join(sorted(emptied))}",
            remedy="see failures.csv in the store; mend or replace these videos",
        )
    return kept
