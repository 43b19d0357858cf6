"""Signals ask once, then insist."""

from __future__ import annotations

import os
import signal
import threading

import pytest

import stresnet.training.interrupt as stop_module
from stresnet.training.interrupt import Interrupted, stop_requested


def test_the_first_signal_is_remembered_and_a_later_one_interrupts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stop_module, "ONE_REQUEST_SECONDS", 0.0)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as insisted, stop_requested() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
        assert stop.signal_number == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGINT)
    assert insisted.value.exit_code == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_same_request_may_come_twice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends Ctrl-C to all processes, and torchrun passes it on."""
    monkeypatch.setattr(stop_module, "ONE_REQUEST_SECONDS", 60.0)
    with stop_requested() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.signal_number == signal.SIGINT


def test_other_threads_train_too() -> None:
    stopped: list[bool] = []

    def work() -> None:
        with stop_requested() as stop:
            stopped.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stopped == [False]
