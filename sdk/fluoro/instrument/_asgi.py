"""Serve one ASGI request or websocket in a segment: from the call of the application until the last message is sent.

The segment stays current until the application returns, so background tasks belong to it although it has ended. After a
5xx it ends only then, because frameworks answer first and raise afterwards, and the exception is the cause.

Applications lie in one another: a server's entry, middleware, a framework, what is mounted in it. The outermost that is
instrumented begins the segment, the others find it in the scope and add what they know: the route, an exception.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from fluoro import propagation
from fluoro.context import current_node
from fluoro.instrument import _http
from fluoro.instrument._guarded import guarded, put_back
from fluoro.instrument._patch import wrapped
from fluoro.recorder import recorder

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_KEY = "fluoro.request"
_NAMES = _http.HeaderNames(
    (b"x-amzn-trace-id", b"traceparent", b"tracestate"), b"host", b"x-forwarded-for", b"user-agent"
)

# What servers and frameworks raise in an application whose client is gone. By name: none of them is imported here.
_CLIENT_LEFT = frozenset({"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"})


class Request:
    """One request or websocket being served. Whoever matches a route writes its template to `route`, or to `find_route`
    what knows it at the end. Who turns an exception into an answer writes it to `raised`: the cause, if that is a 5xx.
    """

    __slots__ = (
        "_headers",
        "_length",
        "_method",
        "_outside",
        "_scope",
        "_send",
        "_status",
        "find_route",
        "mounted_at",
        "quiet",
        "raised",
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
        self.find_route: Callable[[], str] | None = None
        self.raised: BaseException | None = None
        peer = scope.get("client")
        url = _url(scope, self._headers)
        self.span = _http.server_span(self._method, url, self._header, peer[0] if peer else "", _NAMES)
        self.quiet = _http.is_quiet(self.span)
        scope[_KEY] = self

    def _header(self, name: bytes) -> str | None:
        value = self._headers.get(name)
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
            if kind == "websocket.close":
                self._status = self._status or 403
                if message.get("code") == _http.INTERNAL_ERROR and self.span.recording:
                    self.span.segment.fault = True
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
        """The application raised. A client that went away is no failure, and got none of the answer to it."""
        if type(error).__name__ in _CLIENT_LEFT:
            self._status = 0 if self._status >= 500 else self._status
        elif isinstance(error, Exception):
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
        websocket = self._scope["type"] == "websocket"
        raised, self.raised = self.raised, None
        if raised is not None and (websocket or self._status >= 500):
            self.span.fail(raised)
        route = self.route if self.find_route is None else self.find_route()
        method = _http.WEBSOCKET if websocket else self._method
        _http.record_answer(self.span, method, route, self._status, self._length)
        _http.end_keeping_current(self.span)


@guarded
def begin(scope: Scope, send: Send) -> Request | None:
    """Begin to serve; None for a lifespan, and when an application around this one serves it already (a mounted one)."""
    if scope["type"] not in ("http", "websocket") or _KEY in scope:
        return None
    return Request(scope, send)


async def serve(original: Callable[..., Any], app: Any, scope: Scope, receive: Any, send: Send) -> None:
    """The wrapper for the `__call__` of a framework's application class."""
    outside = current_node.get()
    try:
        served = begin(scope, send)
        if served is None:
            await original(app, scope, receive, send)
            return
        try:
            await original(app, scope, receive, send if served.quiet else served.send)
        except BaseException as error:
            served.failed(error)
            raise
        finally:
            served.left()
    except BaseException:
        put_back(outside)  # also where a signal handler raised between two steps of ours
        raise


def traced(app: Any) -> Any:
    """What a server shall call in the place of `app` (ASGI 3): the same to look at, and each call served in a segment."""
    return wrapped(app, serve_application)


async def serve_application(app: Any, scope: Scope, receive: Any, send: Send) -> None:
    """`app(scope, receive, send)` in a segment; as it is when tracing was switched off meanwhile."""
    if recorder.sink is None:
        await app(scope, receive, send)
    else:
        await serve(_call, app, scope, receive, send)


async def _call(app: Any, scope: Scope, receive: Any, send: Send) -> None:
    await app(scope, receive, send)


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
