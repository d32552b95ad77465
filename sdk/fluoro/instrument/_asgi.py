"""Serve one ASGI request or websocket in a segment: from the call of the application until the last message is sent.

The segment stays current until the application returns, so background tasks belong to it although it has ended. After a
5xx it ends only then, because frameworks answer first and raise afterwards, and the exception is the cause.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from fluoro import propagation
from fluoro.context import current_node
from fluoro.instrument import _http
from fluoro.instrument._patch import guarded

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_KEY = "fluoro.request"


class Request:
    """One request or websocket being served. Whoever matches a route writes its template to `route`."""

    __slots__ = (
        "_headers",
        "_length",
        "_method",
        "_outside",
        "_scope",
        "_send",
        "_status",
        "mounted_at",
        "route",
        "span",
    )

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._method = scope.get("method", "GET")
        self._status = 0
        self._length: bytes | None = None
        self._outside = current_node.get()
        self.mounted_at = self.route = ""
        peer = scope.get("client")
        self.span = _http.server_span(self._method, _url(scope, self._headers), self._header, peer[0] if peer else "")
        scope[_KEY] = self

    def _header(self, name: str) -> str | None:
        value = self._headers.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """What the application is given for the server's `send`."""
        self._before(message)
        await self._send(message)
        self._after(message)

    @guarded
    def _before(self, message: MutableMapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            self._length = next((value for key, value in headers if key.lower() == b"content-length"), None)
        elif kind == "websocket.accept":
            self._status = 101
            headers = list(message.get("headers", ()))
        else:
            if kind == "websocket.close" and not self._status:
                self._status = 403
            return
        answer = _http.answer_header(self.span)
        if answer is not None:
            message["headers"] = [*headers, (propagation.XRAY.lower().encode(), answer.encode())]

    @guarded
    def _after(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body") and 0 < self._status < 500:
            self._end()

    @guarded
    def failed(self, error: BaseException) -> None:
        """The application raised; a client that closed its websocket is no failure."""
        if isinstance(error, Exception) and type(error).__name__ != "WebSocketDisconnect":
            self.span.fail(error)
            self._status = self._status or 500

    @guarded
    def left(self) -> None:
        """The application returned or raised."""
        self._end()
        current_node.set(self._outside)

    def _end(self) -> None:
        if self.span.ended:
            return
        _http.record_answer(self.span, self._method, self.route, self._status, self._length)
        if self._scope["type"] == "websocket" and self.span.recording:
            self.span.segment.operation = f"WS {self.route or _http.UNMATCHED}"
        _http.end_keeping_current(self.span)


@guarded
def begin(scope: Scope, send: Send) -> Request | None:
    """Begin to serve; None for a lifespan, and when an application around this one serves it already (a mounted one)."""
    if scope["type"] not in ("http", "websocket") or _KEY in scope:
        return None
    return Request(scope, send)


def request_of(scope: Scope) -> Request | None:
    """The request that `scope` belongs to, while it is served."""
    return scope.get(_KEY)


def _url(scope: Scope, headers: dict[bytes, bytes]) -> str:
    host = headers.get(b"host", b"").decode("latin-1")
    if not host and scope.get("server"):
        host = ":".join(str(part) for part in scope["server"] if part is not None)
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope.get("path", ""))
    return f"{scope.get('scheme', 'http')}://{host}{path}"
