"""SIGTERM, Ctrl-C and their like ask training to stop, at a moment when nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import Tensor, nn

from stresnet.model.residual_unit import ResidualUnit
from stresnet.signals import ending_signals

# Terminals and torchrun pass Ctrl-C on, and schedulers repeat SIGTERM: signals within this time are
# one request.
ONE_REQUEST_SECONDS = 10.0


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and its checkpoint is written.

    Attributes:
        exit_code: 128 + the signal's number (130 for Ctrl-C, 143 for SIGTERM).
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


class StoppedEarly(Exception):
    """A group was left unfinished, because a stop was requested."""


class StopRequest:
    """Remembers the first signal; one that comes much later interrupts at once."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._since = 0.0
        self._is_waiting = False

    def __bool__(self) -> bool:
        return self.signal_number is not None

    @contextmanager
    def ends_waiting(self) -> Iterator[None]:
        """Let a request raise `StoppedEarly` at once inside the block: nothing is lost there."""
        self._is_waiting = True
        try:
            if self:
                raise StoppedEarly
            yield
        finally:
            self._is_waiting = False

    def _remember(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signal_number is None:
            self.signal_number, self._since = number, now
            if self._is_waiting:
                raise StoppedEarly
        elif now - self._since > ONE_REQUEST_SECONDS:
            raise Interrupted(number)


@contextmanager
def stop_requested() -> Iterator[StopRequest]:
    """Catch the signals that end a job inside the block, and restore the handlers after it.

    Python lets only the main thread set handlers; in any other, the caller's stay.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    former = {number: signal.signal(number, request._remember) for number in ending_signals()}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def stopping_early(learner: nn.Module, stop: StopRequest) -> Iterator[None]:
    """Let passes of `learner` raise `StoppedEarly` at the next residual unit after a request.

    A group of videos takes minutes on a slow machine, one unit of it a second or two.
    """

    def look(gradient: Tensor) -> None:
        if stop:
            raise StoppedEarly

    def after(unit: nn.Module, inputs: object, output: Tensor) -> None:
        look(output)
        if output.requires_grad:
            # The backward pass comes through here.
            output.register_hook(look)  # type: ignore[no-untyped-call]

    units = [module for module in learner.modules() if isinstance(module, ResidualUnit)]
    hooks = [unit.register_forward_hook(after) for unit in units]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
