"""Who may ask, and what a browser may do with an answer. Around the whole app.

- The Host header must be an address or a name of this server. Otherwise a page elsewhere whose name
  was made to point at this machine (DNS rebinding) could read everything.
- A request that changes something must not come from another page (browsers send its Origin).
- The page loads its own files and nothing else, runs no inline script, and cannot be framed.
"""

from __future__ import annotations

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
        if method not in ("GET", "HEAD") and origin.partition("://")[2].lower() != host.lower():
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
