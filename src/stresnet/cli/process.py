"""The process behind the command: signals that end it, and streams that cannot be written."""

from __future__ import annotations

import _thread
import atexit
import errno
import io
import os
import select
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from stresnet.signals import ending_signals, send_later

NO_READER = 141  # the exit code of a program that writes to nobody: 128 + SIGPIPE
STOP_SECONDS = 8.0  # from a signal to the end, whatever hangs; what is unwound takes less
IMPORTS = "<frozen importlib._bootstrap>"  # the file of the frames that import
UNWRITABLE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than allowed here",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the device reports an error",
    errno.EBADF: "it is closed",
}


class Stop:
    """SIGTERM, Ctrl-C and their like unwind the work: files are removed, processes ended.

    Schedulers and terminals send a signal to every process of a job, often more than once: the
    first one counts. Training has a handler of its own while it trains.

    Attributes:
        number: of the signal that ends the process, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._is_timed = False

    def install(self) -> None:
        """Obey signals from now on."""
        for number in ending_signals():
            signal.signal(number, self._on_signal)
        sys.unraisablehook = self._on_unraisable
        atexit.register(_ignore)  # the first one is the last to run

    def end(self, code: Any) -> None:
        """End the process, if a signal has been obeyed: everything is unwound.

        While Python ends by itself, a second signal would end it by that signal, and nothing limits
        the time that libraries take.
        """
        if self.number is not None:
            if sys.stderr is not None:
                sys.stderr.flush()
            os._exit(code if isinstance(code, int) else self.exit_code)

    @property
    def exit_code(self) -> int:
        return 128 + (self.number or 0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            return
        if not self._is_timed:
            self._is_timed = True
            # Not by `threading`, one of whose locks the main thread may hold now.
            _thread.start_new_thread(_end_in_time, (128 + number,))
        if _is_importing(frame):  # torch's C++ aborts the process if an import in it is left
            _thread.start_new_thread(send_later, (number,))
            return
        self.number = number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(self.exit_code)

    def _on_unraisable(self, unraisable: Any) -> None:
        """Raise once more what came up where Python drops exceptions, such as in a destructor."""
        number = self.number
        if number is None:
            sys.__unraisablehook__(unraisable)
            return
        if not isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit):
            return  # an object that the end left half made, as llvmlite's
        self.number = None
        _thread.start_new_thread(send_later, (number,))


def _ignore() -> None:
    """Let Python end by itself: all is done, and it would end by a signal without a handler."""
    for number in ending_signals():
        signal.signal(number, signal.SIG_IGN)


def _end_in_time(exit_code: int) -> None:
    time.sleep(STOP_SECONDS)
    os._exit(exit_code)  # worker processes end with this one


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != IMPORTS:
        frame = frame.f_back
    return frame is not None


class Heedless:
    """A stream of messages: where it cannot be written, they are lost and the work goes on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_streams() -> None:
    """Make stdout take any character, and stderr never end the work.

    What stdout's encoding cannot spell is escaped: a file's name must not cost the other results.
    """
    for descriptor in range(3):  # a closed one would become the number of the next file
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR if descriptor == 2 else os.O_RDONLY)
    if sys.stdout is None:  # what is written there is lost, which must not pass silently
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is not None:
        sys.stderr = Heedless(sys.stderr)


def has_no_reader() -> bool:
    """Whether stdout is a pipe whose reader has ended, as `head` does when it has seen enough."""
    if not hasattr(select, "poll"):  # Windows
        return False
    stdout = select.poll()
    stdout.register(1, 0)  # what is asked for is told only by POLLERR or POLLHUP
    return bool(stdout.poll(0))


def flush_stdout() -> OSError | None:
    """Write what stdout still holds; return why that fails, if it does."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # or Python would try again at its end
        return error
    return None
