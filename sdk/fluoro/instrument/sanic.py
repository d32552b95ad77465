"""Sanic ≥ 22.12: one segment per request, in its own server (any number of workers) and behind an ASGI server.

The operation is the path of the route, `/orders/<id:int>` written `/orders/{id}`, blueprints' prefixes in front. An
exception is the cause where it becomes a 5xx, also by a handler of the application's own; a `SanicException` is an
answer. A websocket is one segment per connection, "WS /route"; closed by us with 1011 it is a fault. A request that runs
into RESPONSE_TIMEOUT is answered 503 and recorded as such.

Gaps: what Sanic cannot read as a request is answered 400 and not recorded; its own server's websockets are not told our
decision (`Sampled=?`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from sanic.exceptions import SanicException
from sanic.handlers import ErrorHandler
from sanic.http.constants import Stage
from sanic.response import BaseHTTPResponse
from sanic.touchup.service import TouchUp

from fluoro import propagation
from fluoro.instrument import _asgi, _http, _patch
from fluoro.instrument._exchange import Exchange

_served: WeakKeyDictionary[Any, Exchange] = WeakKeyDictionary()  # by the request, which has slots


def patch(module: ModuleType) -> None:
    def wrap() -> None:
        _patch.wrap(module.Sanic, "handle_request", _handle_request, remade=True)
        _patch.around(module.Sanic, "handle_exception", _note_exception, _nothing, remade=True)

    wrap()
    # At its start the server compiles these two anew from their source, without the signals nobody listens to.
    _patch.around(TouchUp, "run", lambda *_: True, lambda *_: wrap())
    _patch.wrap(module.Sanic, "__call__", _asgi.serve)
    _patch.around(ErrorHandler, "log", _note_logged, _nothing)
    _patch.around(BaseHTTPResponse, "send", _note_send, _nothing)


async def _handle_request(original: Callable[..., Any], app: Any, request: Any) -> None:
    served = _begin(request)
    if served is None:
        await original(app, request)
        return
    try:
        await original(app, request)
    except BaseException as error:
        _failed(served, request, error)
        raise
    finally:
        _end(served, request)


@_patch.guarded
def _begin(request: Any) -> Exchange | None:
    """None behind an ASGI server: the segment has been begun, and waits for the route only."""
    outer = _asgi_request(request)
    if outer is not None:
        outer.find_route = lambda: outer.mounted_at + _route(request)
        return None
    path = request.raw_url.decode("latin-1").partition("?")[0]
    url = f"{request.scheme}://{request.host}{path}"
    served = Exchange(request.method, url, request.headers.get, request.ip or "")
    _served[request] = served
    return served


@_patch.guarded
def _failed(served: Exchange, request: Any, error: BaseException) -> None:
    """What leaves `handle_request`: a bug in Sanic, or the cancellation of it, of which a time-out is told here."""
    timeout = getattr(request.stream, "exception", None)
    if isinstance(error, Exception):
        served.failed(error)
    elif timeout is not None:
        served.raised = timeout


@_patch.guarded
def _end(served: Exchange, request: Any) -> None:
    served.route = _route(request)
    stream = request.stream
    if _is_websocket(request):
        served.websocket = True
        protocol: Any = getattr(_websocket(request), "ws_proto", None)
        close = getattr(protocol, "close_sent", None)
        if close is not None and close.code == _http.INTERNAL_ERROR and not protocol.close_rcvd_then_sent:
            served.fault()
        served.end(101)
    elif isinstance(served.raised, SanicException):
        served.end(served.raised.status_code)
    elif stream is None or stream.response is None:
        served.end(0)
    else:
        headers = stream.response.headers
        if served.answer is not None:  # the application may send the same response again
            headers.pop(propagation.XRAY, None)
        length = headers.get("content-length")
        served.end(stream.response.status, None if length is None else str(length))  # an int, where Sanic put it in
    served.left()


def _note_exception(app: Any, request: Any, exception: BaseException, *_: Any, **__: Any) -> None:  # noqa: ARG001
    served = _served.get(request) or _asgi_request(request)
    if served is None or isinstance(exception, SanicException) or not isinstance(exception, Exception):
        return
    if request.stream is not None and request.stream.stage is not Stage.HANDLER:
        served.span.fail(exception)  # the answer has begun, so no status will tell
    else:
        served.raised = exception


def _note_logged(request: Any, exception: Exception) -> None:
    """The one place that hears of an exception in a websocket's handler."""
    served = _served.get(request) or _asgi_request(request)
    if served is not None and _is_websocket(request):
        served.span.fail(exception)


def _note_send(response: Any, *_: Any, **__: Any) -> None:
    stream = response.stream
    served = None if stream is None else _served.get(stream.request)
    if served is not None and stream.stage is Stage.HANDLER:
        answer = served.answer
        if answer is not None:
            response.headers[propagation.XRAY] = answer


def _asgi_request(request: Any) -> _asgi.Request | None:
    scope = getattr(request.transport, "scope", None)
    return None if scope is None else _asgi.request_of(scope)


def _is_websocket(request: Any) -> bool:
    """Whether the handler of a websocket was reached, and nothing else was answered."""
    handler = None if request.route is None else request.route.handler
    return hasattr(handler, "is_websocket") and (request.stream is None or request.stream.response is None)


def _websocket(request: Any) -> Any:
    """The websocket in Sanic's own server; None when its client is gone."""
    protocol = None if request.transport is None else request.transport.get_protocol()
    return getattr(protocol, "websocket", None)


def _route(request: Any) -> str:
    return "" if request.route is None else _template(f"/{request.route.path}")


def _nothing(*_: Any) -> None:
    """After a call whose `before` has returned None."""


# The type of a parameter may be a regular expression with named groups of its own.
_PARAMETER = re.compile(r"<([^<>:]+)(?::(?:[^<>]|<[^<>]*>)*)?>")


@lru_cache(maxsize=4096)
def _template(path: str) -> str:
    """`/orders/<id:int>` → `/orders/{id}`."""
    return _PARAMETER.sub(r"{\1}", path)
