"""Connections that ask for nothing: they are ended in time, and their number is limited.

uvicorn waits for ever for the rest of a request's head, so that a client which sends it letter by
letter, or not at all, would hold a connection, and a thousand of them the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

HEAD_SECONDS = 10.0  # from the connection, or the last answer, to a whole head of a request
MOST = 500  # connections at a time

Client = tuple[str, int]  # address and port


class Connections:
    """Knows who is connected and has not asked for anything yet.

    Used twice: as the middleware that notes requests, and as the maker of protocols for uvicorn.

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

    def protocol(self, http: Callable[..., asyncio.Protocol]) -> Callable[..., asyncio.Protocol]:
        """Return what uvicorn takes as `http`: its own protocol `http`, watched."""
        return partial(_Watched, self, http)

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


class _Watched(asyncio.Protocol):
    """One connection."""

    def __init__(
        self, connections: Connections, http: Callable[..., asyncio.Protocol], **settings: Any
    ) -> None:
        self._connections = connections
        self._http = http(**settings)
        self._client: Client = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = tuple(transport.get_extra_info("peername")[:2])
        self._http.connection_made(transport)
        self._connections.begin(self._client, transport)

    def connection_lost(self, reason: Exception | None) -> None:
        self._connections.end(self._client)
        self._http.connection_lost(reason)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    def data_received(self, data: bytes) -> None:
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        return self._http.eof_received()

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()
