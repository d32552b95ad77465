"""aiohttp.web ≥ 3.8: one segment per request, from when its headers are read until the response is written.

The operation is the canonical path of the resource, behind the prefix of the sub-application it belongs to. What the
application raises is the cause where aiohttp turns it into a 500; a `web.HTTPException` is an answer. A websocket is
one segment per connection, "WS /route", which is sent when the connection is over; closed by us with 1011 it is a
fault. Covers every way to run the server, gunicorn's worker included.

Gaps: bytes that are no HTTP request are answered 400 and not recorded; a low-level `web.Server` has no routes, so its
requests are all "unmatched".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiohttp.web_response import StreamResponse
from aiohttp.web_ws import WebSocketResponse

from fluoro import propagation
from fluoro.instrument import _http, _patch
from fluoro.instrument._exchange import Exchange

_KEY = "fluoro.request"  # in the request, which is a mapping for what middleware wants to keep
_NO_REQUEST = "UNKNOWN"  # aiohttp's method for what it could not read


class _Served(Exchange):
    __slots__ = ("response",)

    response: StreamResponse | None


def patch(module: ModuleType) -> None:
    _patch.wrap(module.RequestHandler, "_handle_request", _handle_request)
    _patch.around(module.RequestHandler, "handle_error", _note_error, _nothing)
    _patch.around(StreamResponse, "prepare", _note_response, _nothing)
    _patch.around(WebSocketResponse, "close", _note_close, _nothing)


async def _handle_request(original: Callable[..., Any], connection: Any, request: Any, *args: Any) -> Any:
    served = _begin(request)
    if served is None:
        return await original(connection, request, *args)
    try:
        return await original(connection, request, *args)
    finally:
        _end(served, request)


@_patch.guarded
def _begin(request: Any) -> _Served | None:
    if request.method == _NO_REQUEST:
        return None
    url = f"{request.scheme}://{request.host}{request.rel_url.raw_path}"
    served = _Served(request.method, url, request.headers.get, request.remote or "")
    served.response = None
    request[_KEY] = served
    return served


@_patch.guarded
def _end(served: _Served, request: Any) -> None:
    match = getattr(request, "_match_info", None)
    resource = None if match is None else match.route.resource
    served.route = "" if resource is None else resource.canonical
    response = served.response
    if response is None:
        served.end(0)
    else:
        served.end(response.status, response.headers.get("Content-Length"))
    served.left()


def _note_error(connection: Any, request: Any, status: int = 500, exc: BaseException | None = None, *_: Any) -> None:
    """Aiohttp answers 500 or 504, or breaks the connection off if the answer has begun; without one, nobody cares."""
    served = request.get(_KEY)
    if served is not None and status >= 500 and connection.transport is not None:
        served.failed(exc or sys.exc_info()[1])


def _note_response(response: StreamResponse, request: Any) -> None:
    served = request.get(_KEY)
    if served is None or response.prepared:
        return
    served.response = response
    served.websocket = isinstance(response, WebSocketResponse)
    answer = served.answer
    if answer is not None:
        response.headers[propagation.XRAY] = answer


def _note_close(response: Any, *, code: int = 1000, **_: Any) -> None:
    served = None if response._req is None else response._req.get(_KEY)  # noqa: SLF001
    if served is not None and code == _http.INTERNAL_ERROR:
        served.fault()


def _nothing(*_: Any) -> None:
    """After a call whose `before` has returned None."""
