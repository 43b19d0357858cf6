"""The worker process, from the server's side: started, given orders, killed at will.

    server --{"folder": ..., ...}--> stdin    worker    stdout --{"stage": ..., "progress": ...}-->

Lines of JSON, so that nothing that comes from the worker can run code here.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stresnet.errors import EnvironmentProblem, StresnetError

ENDS = ("ready", "result", "error")  # a message with one of these is the last of its order
KINDS = {kind.__name__: kind for kind in StresnetError.__subclasses__()}


class WorkerDied(EnvironmentProblem):
    """The process ended in the middle of its work: it crashed, or was killed."""


class TookTooLong(EnvironmentProblem):
    """The process was killed because its time was over."""


class Worker:
    """At most one process at a time; one thread gives orders, any thread may kill.

    Args:
        command: program and arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The ID of the running process, if there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> Any:
        """Start a new process, wait until it is ready, and return what it says about itself.

        Raises:
            StresnetError: it cannot work, for the reason that it gives.
            WorkerDied: it died without giving a reason.
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
        return self._outcome(lambda news: None)["ready"]

    def run(
        self, order: Mapping[str, Any], *, seconds: float, on_news: Callable[[Any], None]
    ) -> Any:
        """Give an order, wait, and return the result.

        Args:
            seconds: after which the process is killed.
            on_news: called with each message before the last.

        Raises:
            StresnetError: it cannot be done, for the reason that the worker gives.
            WorkerDied: the process is gone; `start` it again.
            TookTooLong: likewise.
        """
        until = time.monotonic() + seconds
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        try:
            if self._process is None or self._process.stdin is None:
                raise WorkerDied("it was not started")
            with suppress(OSError):  # a dead process, which is noticed when its answer is read
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()
            return self._outcome(on_news)["result"]
        except WorkerDied as error:
            if time.monotonic() < until:
                raise
            raise TookTooLong(
                f"it took longer than {seconds:g} seconds and was stopped",
                remedy="send a shorter clip",
            ) from error
        finally:
            timer.cancel()
            timer.join()

    def kill(self) -> None:
        """End the process at once, if it runs."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Kill it, and close the pipes; no thread may be in `run`."""
        self.kill()
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout) if process else ():
            with suppress(OSError):  # what was not written yet is lost
                if pipe is not None:
                    pipe.close()

    def _outcome(self, on_news: Callable[[Any], None]) -> Any:
        """Read messages up to the last one of an order."""
        if self._process is None or self._process.stdout is None:
            raise WorkerDied("it was not started")
        for line in self._process.stdout:
            with suppress(json.JSONDecodeError):  # a line cut off by its death
                message = json.loads(line)
                if not any(end in message for end in ENDS):
                    on_news(message)
                elif "error" in message:
                    raise raised(message["error"])
                else:
                    return message
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise WorkerDied(
            f"the process that worked on it ended unexpectedly ({how})",
            remedy="try again, or send a shorter clip: the memory may not be enough",
        )


def worker_command(scratch: Path, **arguments: Any) -> list[str]:
    """Return the command that starts the worker process; arguments as in `worker_main`."""
    given = json.dumps({"scratch": str(scratch), **arguments})
    # -P: modules in the current directory are not imported.
    return [sys.executable, "-P", "-m", "stresnet.web.worker_main", given]


def raised(error: Mapping[str, str]) -> StresnetError:
    """Return the error that the worker described."""
    return KINDS.get(error["kind"], StresnetError)(error["problem"], remedy=error["remedy"])
