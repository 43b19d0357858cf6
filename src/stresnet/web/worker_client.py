"""The worker process, from the server's side: started, given orders, killed at will.

    server --{"folder": ..., ...}--> stdin    worker    stdout --{"stage": ..., "progress": ...}-->

Lines of JSON, so that nothing the worker says can run code here.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stresnet.errors import (
    EnvironmentProblem,
    StresnetError,
    UsageError,
    VideoError,
    WeightsError,
)

ENDS = ("ready", "result", "error")  # of these a message holds one when the worker has finished
KINDS: dict[str, type[StresnetError]] = {
    kind.__name__: kind for kind in (EnvironmentProblem, UsageError, VideoError, WeightsError)
}


class WorkerDied(Exception):
    """The process ended in the middle of its work: it crashed, or someone killed it."""


class TookTooLong(Exception):
    """The process was killed since its time was over."""


class Worker:
    """At most one process at a time; one thread gives orders, any may kill.

    Args:
        command: program and arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs, if one does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def alive(self) -> bool:
        return self.pid is not None

    def start(self) -> Any:
        """Start it anew and wait until it is ready; return what it says of itself.

        Raises:
            StresnetError: it cannot work; its own words.
            WorkerDied: it died without a word.
        """
        self.close()
        # In a group of its own, or a Ctrl-C in the terminal would reach it too.
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            process_group=0,
        )
        last = self._listen(lambda news: None)
        if "error" in last:
            raise raised(last["error"])
        return last["ready"]

    def run(
        self, order: Mapping[str, Any], *, seconds: float, on_news: Callable[[Any], None]
    ) -> Any:
        """Give an order and wait; return the result.

        Args:
            seconds: after which the process is killed.
            on_news: called with each message before the last.

        Raises:
            StresnetError: the worker's own words on why it cannot be done.
            WorkerDied: the process is gone; `start` it again.
            TookTooLong: so is it here.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            last = self._order(order, on_news)
        except WorkerDied as error:
            if late.is_set():
                raise TookTooLong from error
            raise
        finally:
            timer.cancel()
            timer.join()
        if "error" in last:
            raise raised(last["error"])
        return last["result"]

    def kill(self) -> None:
        """End the process at once, if it runs."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Kill, and let go of the pipes; nobody may be in `run`."""
        self.kill()
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout) if process else ():
            with suppress(OSError):  # what was not written yet cannot be any more
                if pipe is not None:
                    pipe.close()

    def _order(self, order: Mapping[str, Any], on_news: Callable[[Any], None]) -> Any:
        if self._process is None or self._process.stdin is None:
            raise WorkerDied("it was not started")
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerDied(self._obituary()) from error
        return self._listen(on_news)

    def _listen(self, on_news: Callable[[Any], None]) -> Any:
        if self._process is None or self._process.stdout is None:
            raise WorkerDied("it was not started")
        for line in self._process.stdout:
            with suppress(json.JSONDecodeError):  # a line cut off by its death
                message = json.loads(line)
                if any(end in message for end in ENDS):
                    return message
                on_news(message)
        raise WorkerDied(self._obituary())

    def _obituary(self) -> str:
        code = self._process.wait() if self._process else None
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def worker_command(scratch: Path, **arguments: Any) -> list[str]:
    """Return how the process that works on clips is started."""
    given = json.dumps({"scratch": str(scratch), **arguments})
    # -P: modules in the current directory are not imported.
    return [sys.executable, "-P", "-m", "stresnet.web.worker_main", given]


def raised(error: Mapping[str, str]) -> StresnetError:
    """An error as the worker told it."""
    kind = KINDS.get(error["kind"], StresnetError)
    return kind(error["problem"], remedy=error["remedy"])
