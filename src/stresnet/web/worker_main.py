"""The worker process: loads the model once, then works on one clip after another.

    python -m stresnet.web.worker_main '{"model": ..., "scratch": ..., "threads": 2, "fast": false}'

Orders come on stdin and news go to stdout as lines of JSON; see `worker`.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stresnet.errors import StresnetError

CLEARINGS = 10  # attempts
Tell = Callable[[dict[str, Any]], None]


def main(arguments: dict[str, Any]) -> None:
    """Work until stdin ends."""
    tell = _channel()
    scratch = Path(arguments["scratch"])
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_orders, args=(orders, scratch), daemon=True).start()
    _die_first()
    try:
        # Only here, so that a failing import is told too.
        from stresnet.memory import keep_memory
        from stresnet.prediction.recogniser import Recogniser
        from stresnet.web.recognise import recognise

        keep_memory()

        recogniser = Recogniser(
            arguments["model"],
            device=arguments["device"],
            precision=arguments["precision"],
            protocol="quick" if arguments["fast"] else "paper",
        )
    except Exception as error:
        tell({"error": told(error)})
        return
    tell({"ready": {"classes": list(recogniser.class_names)}})
    while True:
        order = orders.get()
        try:
            result = recognise(
                recogniser,
                Path(order["folder"]),
                order["name"],
                max_seconds=order["max_seconds"],
                threads=arguments["threads"],
                fast=arguments["fast"],
                on_stage=lambda stage, share: tell({"stage": stage, "progress": share}),
            )
            tell({"result": result})
        except Exception as error:
            tell({"error": told(error)})


def _channel() -> Tell:
    """Keep stdout for messages: whatever else prints there goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(message: dict[str, Any]) -> None:
        out.write(json.dumps(message, ensure_ascii=False) + "\n")
        out.flush()

    return tell


def _read_orders(orders: queue.Queue[dict[str, Any]], scratch: Path) -> None:
    for line in _lines():
        orders.put(json.loads(line))
    # The server is gone. If it was killed, nobody else clears up behind it. Not at once, perhaps:
    # the clip that is worked on may get a file just when its folder is to go.
    for _ in range(CLEARINGS):
        shutil.rmtree(scratch, ignore_errors=True)
        if not scratch.exists():
            break
    os._exit(0)


def _lines() -> Iterator[str]:
    with suppress(ValueError, OSError):
        yield from sys.stdin


def _die_first() -> None:
    """When memory runs out, Linux shall take this process and not the server."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def told(error: Exception) -> dict[str, str]:
    """An error for `worker.raised`; what nobody expected goes to the log in full."""
    if isinstance(error, StresnetError):
        return {
            "kind": type(error).__name__,
            "problem": error.problem,
            "remedy": error.remedy,
        }
    if isinstance(error, MemoryError):
        return {
            "kind": "EnvironmentProblem",
            "problem": "the memory does not suffice for this clip",
            "remedy": "send a shorter one",
        }
    traceback.print_exception(error)
    return {
        "kind": "",
        "problem": f"something went wrong ({type(error).__name__})",
        "remedy": "try another clip; whoever runs this server finds the details in its log",
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
