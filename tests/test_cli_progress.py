"""Progress without a terminal: a line every tenth of the way, in every stage of a job."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

import stresnet.cli.progress as subject
from stresnet.cli.progress import progress
from stresnet.progress import Progress


def test_a_title_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a terminal too, where rich would take brackets for marks of its own."""
    caplog.set_level(logging.INFO)
    shown = io.StringIO()
    monkeypatch.setattr(subject, "notes", Console(file=shown, force_terminal=True, width=80))
    with progress("clips[/b].mp4, seconds") as on_progress:
        on_progress(Progress(1, 2))
    assert "clips[/b].mp4, seconds" in shown.getvalue()


def test_each_stage_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress("evaluate") as on_progress:
        for total in (2, 3):
            for done in range(1, total + 1):
                on_progress(Progress(done, total, "a.mp4"))
    shown = [message.partition(", ETA")[0] for message in caplog.messages]
    assert shown == [
        f"evaluate: {each}" for each in ("1 of 2", "2 of 2", "1 of 3", "2 of 3", "3 of 3")
    ]


def test_the_next_stage_is_not_as_good_as_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress("evaluate") as on_progress:
        for _stage in range(2):
            for done in (1, 2, 3):
                on_progress(Progress(done, 3))
    done = [message for message in caplog.messages if message.endswith("ETA 0:00:00")]
    assert done == ["evaluate: 3 of 3, ETA 0:00:00"] * 2


def test_seconds_are_shown_as_whole_ones(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with progress("a.mp4, seconds") as on_progress:
        on_progress(Progress(2.0999, 2.1021))
    (message,) = caplog.messages
    assert message.startswith("a.mp4, seconds: 2 of 2")
    assert "2.1" not in message
