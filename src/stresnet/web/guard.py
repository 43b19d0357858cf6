"""Who may ask and for how long, and what a browser may do with an answer. Around the whole app.

- The Host header must be an address or a name of this server. Otherwise a page elsewhere whose name
  was made to point at this machine (DNS rebinding) could read everything.
- A request that changes something must not come from another page (browsers send its Origin).
- The page loads its own files and nothing else, runs no inline script, and cannot be framed.
- A connection that asks for nothing is ended in time, and the number of connections is limited:
uvicorn waits for ever for the rest of a request's head.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Wraps an ASGI app.

    Args:
        names: host names, without ports, that the server is called by in addition to "localhost".
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["method"])
        app = JSONResponse({"detail": refusal}, 403) if refusal else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, headers: Headers, method: str) -> str:
        host = headers.get("host", "")
        if _without_port(host).lower() not in self._names and not _is_address(_without_port(host)):
            return "this server is not called by that name; see `stresnet serve --allow-name`"
        origin = headers.get("origin", f"none://{host}")  # programs send none
        is_foreign = origin.partition("://")[2].lower() != host.lower()
        is_foreign |= headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if method not in ("GET", "HEAD") and is_foreign:
            return "another page may not send clips here"
        return ""


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() else host


def _is_address(host: str) -> bool:
    """Return whether it is an address such as 127.0.0.1 or [::1], not a name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


HEAD_SECONDS = 10.0  # from the connection, or the last answer, to a whole head of a request
MOST = 500  # connections at a time

Client = tuple[str, int]  # address and port


class Connections:
    """Knows who is connected and asks for nothing: the app's middleware, and uvicorn's protocol.

    Args:
        app: what answers.
        most: connections at a time; further ones are closed at once.
        head_seconds: that a client may take to send the head of a request.
    """

    def __init__(
        self, app: ASGIApp, *, most: int = MOST, head_seconds: float = HEAD_SECONDS
    ) -> None:
        self._app = app
        self._most = most
        self._seconds = head_seconds
        self._transports: dict[Client, asyncio.Transport] = {}
        self._timers: dict[Client, asyncio.TimerHandle] = {}  # of those who ask for nothing now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; meanwhile its client may take its time."""
        client = tuple(scope.get("client") or ("", 0))
        self._stop_timer(client)
        try:
            await self._app(scope, receive, send)
        finally:
            self._start_timer(client)

    def protocol(self, http: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
        """Return what uvicorn takes as `http`: its own protocol `http`, watched."""
        connections = self

        class Watched(http):  # type: ignore[misc, valid-type]
            client: Client = ("", 0)

            def connection_made(self, transport: asyncio.Transport) -> None:
                self.client = tuple(transport.get_extra_info("peername")[:2])
                super().connection_made(transport)
                connections.begin(self.client, transport)

            def connection_lost(self, reason: Exception | None) -> None:
                connections.end(self.client)
                super().connection_lost(reason)

        return Watched

    def begin(self, client: Client, transport: asyncio.Transport) -> None:
        """Note a connection."""
        if len(self._transports) >= self._most:
            transport.abort()
        self._transports[client] = transport
        self._start_timer(client)

    def end(self, client: Client) -> None:
        """Forget a connection."""
        self._transports.pop(client, None)
        self._stop_timer(client)

    def _start_timer(self, client: Client) -> None:
        if client in self._transports:
            end = self._transports[client].abort
            self._timers[client] = asyncio.get_running_loop().call_later(self._seconds, end)

    def _stop_timer(self, client: Client) -> None:
        if client in self._timers:
            self._timers.pop(client).cancel()
