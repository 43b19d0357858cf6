"""The signals by which terminals and schedulers end a job."""

from __future__ import annotations

import os
import signal
import time

# Ctrl-C; `kill`, `timeout` and schedulers; a terminal that is closed; warnings that schedulers send
# before they kill. Not every system has all of them.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end this process: all but those that its parent has it ignore.

    `nohup` has SIGHUP ignored, and shells have Ctrl-C ignored by jobs in the background.
    """
    known = (signal.Signals[name] for name in _NAMES if hasattr(signal, name))
    return tuple(number for number in known if signal.getsignal(number) is not signal.SIG_IGN)


def send_later(number: int) -> None:
    """Send this process a signal in a moment, from a thread of its own: it came at a bad moment."""
    time.sleep(0.05)
    os.kill(os.getpid(), number)
