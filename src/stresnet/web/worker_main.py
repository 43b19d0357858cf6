"""The worker process: loads the model once, then works on one clip after another.

    python -P -m stresnet.web.worker_main '{"model": ..., "scratch": ..., "threads": 2, ...}'

Orders come on stdin, messages go to stdout, as lines of JSON; see `worker_client`.
"""

from __future__ import annotations

import json
import math
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

from stresnet.errors import EnvironmentProblem, StresnetError
from stresnet.workers import cores

CLEARINGS = 10  # attempts to remove the files
Send = Callable[[dict[str, Any]], None]


def main(arguments: dict[str, Any]) -> None:
    """Work until stdin ends."""
    send = _channel()
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    reader = threading.Thread(
        target=_read_orders, args=(orders, Path(arguments["scratch"])), daemon=True
    )
    reader.start()
    with suppress(OSError):  # when memory runs out, Linux kills this process, not the server
        Path("/proc/self/oom_score_adj").write_text("800")
    try:
        # Imported only here, so that an import that fails is reported, too.
        from stresnet.evaluation.scoring import fingerprint
        from stresnet.memory import keep_memory
        from stresnet.prediction.recogniser import Recogniser
        from stresnet.web.recognise import recognise

        keep_memory()
        recogniser = Recogniser(
            arguments["model"],
            device=arguments["device"],
            precision=arguments["precision"],
        )
    except Exception as error:
        send({"error": described(error)})
        return
    model = fingerprint(recogniser.net, recogniser.protocol, precision=recogniser.precision)
    send({"ready": {"classes": list(recogniser.class_names), "model": model}})
    while True:
        order = orders.get()
        try:
            if recogniser.device == "cpu":  # a GPU's driver reserves addresses without end
                limit_memory(order["work_bytes"])
            limit_time(order["work_seconds"])
            result = recognise(
                recogniser,
                Path(order["folder"]),
                order["name"],
                max_seconds=order["max_seconds"],
                threads=arguments["threads"],
                on_stage=lambda stage, share: send({"stage": stage, "progress": share}),
            )
            send({"result": result})
        except Exception as error:
            send({"error": described(error)})


def limit_memory(more: int) -> None:
    """Let this process take at most `more` bytes of addresses beyond what it has now (Linux)."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + more)


def limit_time(seconds: float) -> None:
    """Let this process compute for `seconds` on all cores from now on, then end it by SIGXCPU.

    The server ends it sooner, unless the server is gone.
    """
    if sys.platform == "win32":
        return
    import resource

    now = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(now.ru_utime + now.ru_stime + seconds * cores()))


def _lower(which: int, limit: int) -> None:
    """Set a limit of this process, unless whoever started it has set a lower one."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(which)
    resource.setrlimit(which, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _channel() -> Send:
    """Keep stdout for messages: whatever else is printed there goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message, ensure_ascii=False) + "\n")
        out.flush()

    return send


def _read_orders(orders: queue.Queue[dict[str, Any]], scratch: Path) -> None:
    for line in _lines():
        orders.put(json.loads(line))
    # The server is gone. If it was killed, nobody else removes its files. That may take several
    # attempts: the clip that is being worked on may get another file in the meantime.
    for _ in range(CLEARINGS):
        shutil.rmtree(scratch, ignore_errors=True)
        if not scratch.exists():
            break
    os._exit(0)


def _lines() -> Iterator[str]:
    with suppress(ValueError, OSError):
        yield from sys.stdin


def described(error: Exception) -> dict[str, str]:
    """Describe an error for `worker_client.raised`; an unforeseen one goes to the log in full."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch's words
        error = EnvironmentProblem("not enough memory for this clip", remedy="send a shorter one")
    if not isinstance(error, StresnetError):
        traceback.print_exception(error)
        error = StresnetError(
            f"something went wrong ({type(error).__name__})",
            remedy="try another clip; the details are in the server's log",
        )
    return {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
