"""The server itself: a socket, the service, the app around it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path

from stresnet.errors import EnvironmentProblem
from stresnet.web.job import Limits

HOST, PORT = "127.0.0.1", 8000


def serve(
    model: str | Path,
    *,
    host: str = HOST,
    port: int = PORT,
    names: Collection[str] = (),
    limits: Limits | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    on_ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve a web page that recognises clips, until the process is interrupted.

    Args:
        model: what `load_model` takes.
        host: address to bind to; only this machine reaches the default.
        port: 0 takes any free port.
        names: further host names that the server is called by.
        device, precision: see `stresnet.device`.
        threads: CPU threads for the optical flow; None is one for each core.
        on_ready: called with the page's address.

    Raises:
        WeightsError: the model's folder cannot be used.
        EnvironmentProblem: the extra "web" is not installed, or the port is taken.
    """
    try:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol

        from stresnet.web.app import make_app
        from stresnet.web.guard import Connections
    except ImportError as error:
        raise EnvironmentProblem(
            f"the web page needs {error.name}", remedy="pip install 'stresnet[web]'"
        ) from error
    from stresnet.web.queue_service import Service
    from stresnet.workers import thread_count

    with (
        bound(host, port) as listening,
        Service(
            limits=limits,
            model=str(model),
            device=device,
            precision=precision,
            threads=thread_count(threads),
        ) as service,
    ):
        connections = Connections(make_app(service, names={host, *names}))
        # Answers that are held back must not delay the end.
        config = uvicorn.Config(
            connections,
            http=connections.protocol(H11Protocol),
            ws="none",
            lifespan="off",  # the app has none, and a second Ctrl-C would break it with a traceback
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        on_ready(f"http://{host}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listening])


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        EnvironmentProblem: the port is taken, or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise EnvironmentProblem(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)})",
            remedy="choose another with --port" if taken else "choose another --host",
        ) from error
